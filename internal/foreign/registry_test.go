package foreign

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/retry"
)

// TestARegistryThatIsAwayIsAskedAgain at an address of this network too, which the
// library would ask by plain HTTP then; one that speaks that alone is not.
func TestARegistryThatIsAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, tt := range []struct {
		host, says string
		lasts      bool
		kind       constellation.Kind
	}{
		{away, "cannot be reached (connect: connection refused)", false, constellation.KindUnavailable},
		{strings.TrimPrefix(plain.URL, "http://"), "speaks plain HTTP, no HTTPS", true, constellation.KindInvalid},
	} {
		allowed, err := outbound.ParseAllowed([]string{"127.0.0.1/32"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(Access{Host: tt.host}, Options{Allowed: allowed})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = r.Resolve(t.Context(), "team/model", "v1")
		if err == nil || !strings.Contains(err.Error(), tt.says) || retry.IsPermanent(err) != tt.lasts || constellation.KindOf(err) != tt.kind {
			t.Errorf("Resolve at %s = %v (lasts: %v, kind %v), want %q", tt.host, err, retry.IsPermanent(err), constellation.KindOf(err), tt.says)
		}
	}
}
