package registry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/constellation-serving/constellation/internal/httpserve"
)

// TestTheClientsAddress: who is behind a trusted proxy is known by their own
// address to the check of keys; what anybody else says of themselves is not
// believed.
func TestTheClientsAddress(t *testing.T) {
	for name, test := range map[string]struct {
		trusted []string
		want    string
	}{
		"behind a trusted proxy": {[]string{"192.0.2.1"}, "203.0.113.7"},
		"a stranger's word":      {nil, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			find, err := httpserve.ClientAddress(test.trusted, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/", nil)
			r.RemoteAddr = "192.0.2.1:4711"
			r.Header.Set("X-Forwarded-For", "203.0.113.7")
			r.Header.Set("X-Real-Ip", "203.0.113.8")
			find(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := clientAddress(r); got != test.want {
					t.Errorf("clientAddress = %s, want %s", got, test.want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}
