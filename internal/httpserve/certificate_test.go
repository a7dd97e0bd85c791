package httpserve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// until polls what takes a second at most.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("%s does not come", what)
		}
	}
}

// TestACertificateIsRenewed: a new certificate is served without a restart, a
// broken one leaves the old, and HTTP/2 is spoken with both.
func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &waittest.Buffer{}
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	put := func(cert, key []byte) {
		t.Helper()
		for path, data := range map[string][]byte{certFile: cert, keyFile: key} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	old, renewed := identitytest.NewAuthority(t, "old"), identitytest.NewAuthority(t, "renewed")
	put(old.Issue(t, nil, "mothership.example"))
	listener, err := httpserve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- httpserve.Serve(ctx, httpserve.Config{Listener: listener, TLSCert: certFile, TLSKey: keyFile,
			Log: slog.New(slog.NewTextHandler(log, nil)), Grace: time.Second}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	}()
	proto := func(trusts *x509.CertPool) string {
		transport := &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusts, ServerName: "mothership.example"}}
		response, err := (&http.Client{Transport: transport}).Get("https://" + listener.Addr().String())
		if err != nil {
			return ""
		}
		defer response.Body.Close() //nolint:errcheck // read to its end
		body, _ := io.ReadAll(response.Body)
		return string(body)
	}
	if got := proto(old.Pool()); got != "HTTP/2.0" {
		t.Fatalf("with the first certificate: %q, want HTTP/2.0", got)
	}
	put([]byte("broken"), []byte("broken"))
	until(t, "the refusal in the log", func() bool { return strings.Contains(log.String(), "the old one stays in use") })
	if got := proto(old.Pool()); got != "HTTP/2.0" {
		t.Errorf("with a broken certificate in its place: %q, want the first one's HTTP/2.0", got)
	}
	put(renewed.Issue(t, nil, "mothership.example"))
	until(t, "the new certificate", func() bool { return proto(renewed.Pool()) == "HTTP/2.0" })
	stop()
	if err := waittest.Receive(t, "the end of Serve", served); err != nil {
		t.Error(err)
	}
}
