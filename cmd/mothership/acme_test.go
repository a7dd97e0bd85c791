package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/autotls/autotlstest"
	"github.com/constellation-serving/constellation/internal/command"
)

// TestCertificateByACME serves with a certificate that a real authority made, keeps it
// over a restart, and notes it in the audit log.
func TestCertificateByACME(t *testing.T) {
	t.Parallel()
	const host = "mothership.example.test"
	port := autotlstest.FreePort(t)
	a := autotlstest.New(t, 0, port, 90*24*time.Hour)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(a.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := dataDir(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Roots, ServerName: host}, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
	serial := ""
	for range 2 {
		i := serveInProcess(t, dir, "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--public-url", fmt.Sprintf("https://%s:%d/below", host, port),
			"--acme", a.Directory, "--acme-accept-terms", "--acme-ca-file", ca)
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(i.lines)
			}
		})
		eventually(t, "the server answers with a certificate of the authority", func() bool {
			answer, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/below/readyz", port))
			if err != nil {
				return false
			}
			body, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			now := fmt.Sprint(answer.TLS.PeerCertificates[0].SerialNumber)
			if serial != "" && now != serial {
				t.Fatal("after a restart there is another certificate")
			}
			serial = now
			return err == nil && answer.StatusCode == http.StatusOK && answer.ProtoMajor == 2 && strings.Contains(string(body), `"name":"certificate","ready":true`)
		})
		if code := i.stop(); code != 0 {
			t.Fatalf("serve ended with %d", code)
		}
	}
	if a.Orders.Load() != 1 {
		t.Errorf("there were %d orders, want 1", a.Orders.Load())
	}
	var out strings.Builder
	code := command.Run(t.Context(), []string{"mothership", "audit", "verify", "--data-dir", dir}, command.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, newRootCommand)
	if code != 0 {
		t.Errorf("audit verify: %s", out.String())
	}
}
