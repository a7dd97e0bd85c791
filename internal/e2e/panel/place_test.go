package panel

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/constellation-serving/constellation/internal/client"
)

// quiet is the log of a proxy: a browser that leaves a page leaves its stream.
var quiet = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)

// beyondLoopback starts a mothership of the test's own on plain http at an
// address that no browser trusts: there is no Sec-Fetch-Site and no clipboard.
func beyondLoopback(t *testing.T) *world {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			m, _ := startMothershipAt(t, net.JoinHostPort(ip.IP.String(), "0"), allowed...)
			return (&world{mothership: m, url: m.URL, host: m.Host}).owned(t)
		}
	}
	t.Fatal("this machine has no address but loopback; give it one, such as that of a veth")
	return nil
}

// overHTTPS starts a mothership of the test's own behind a proxy that speaks
// https with browsers.
func overHTTPS(t *testing.T) *world {
	t.Helper()
	proxy := httptest.NewUnstartedServer(nil)
	address := proxy.Listener.Addr().String()
	m, _ := startMothershipAt(t, "127.0.0.1:0", append(allowed, "--public-url", "https://"+address)...)
	backend, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(backend)
	pass.ErrorLog = quiet
	proxy.Config.Handler = pass
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return (&world{mothership: m, url: "https://" + address, host: address}).owned(t)
}

// owned stops the mothership at the end of the test.
func (w *world) owned(t *testing.T) *world {
	t.Helper()
	w.sessions = map[string]*http.Cookie{}
	t.Cleanup(func() {
		if err := w.mothership.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// administer makes the API key of an administrator who is there already.
func (w *world) administer(t *testing.T, username string) {
	t.Helper()
	key, err := w.mothership.Administer(t.Context(), "", "api-key", "create", "--account", username, "--role", "admin", "--name", "CI")
	if err != nil {
		t.Fatal(err)
	}
	w.admin, w.key = username, key
	w.api = client.New(w.mothership.URL, key, http.DefaultClient)
}
