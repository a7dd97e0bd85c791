package heartbeat

import (
	"bytes"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestPeers: one heartbeat has the counts of all engines, and a key that the
// mothership revoked is gone from all when it is answered.
func TestPeers(t *testing.T) {
	t.Parallel()
	left := []apiv1.HeartbeatKey{{ID: "k2", SHA256: "bb"}}
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{NextSeconds: 30, SatelliteVersion: 3, Keys: &apiv1.HeartbeatKeys{Digest: apiv1.KeysDigest(left), Keys: left}})}
	server := httptest.NewServer(m)
	defer server.Close()
	one, two := engineNamed("one", server.URL), engineNamed("two", server.URL)
	two.report.KeysUsed = []string{"k1"}
	for _, e := range []*someEngine{one, two} {
		peer := httptest.NewServer(PeerHandler(e, "t"))
		defer peer.Close()
		one.peers = append(one.peers, strings.TrimPrefix(peer.URL, "http://"))
	}
	one.peers = append(one.peers, "127.0.0.1:1") // one that is just gone
	New(Options{Engine: one, Token: "t"}).beat(t.Context())
	if len(m.beats) != 1 {
		t.Fatalf("%d heartbeats, want 1", len(m.beats))
	}
	beat := m.beats[0]
	if len(beat.Engines) != 2 || beat.Engines[0].ID != "one" || beat.Engines[1].ID != "two" || beat.Algorithms[0].InFlight != 2 || beat.Algorithms[0].Ready != 1 {
		t.Errorf("heartbeat = %+v, want both engines, their calls added and replicas counted once", beat)
	}
	if diff := cmp.Diff([]string{"k1"}, beat.KeysUsed); diff != "" {
		t.Errorf("keys used (-want +got):\n%s", diff)
	}
	for _, e := range []*someEngine{one, two} {
		if diff := cmp.Diff(left, e.keys()); diff != "" {
			t.Errorf("keys of %s (-want +got):\n%s", e.report.Counts.ID, diff)
		}
	}
	// An engine that starts again has its old keys, and learns from the other.
	again := engineNamed("one again", server.URL)
	again.peers = one.peers[1:2]
	m.answer = func(w http.ResponseWriter, _ apiv1.Heartbeat) { w.WriteHeader(http.StatusServiceUnavailable) }
	New(Options{Engine: again, Token: "t"}).beat(t.Context())
	if diff := cmp.Diff(left, again.keys()); diff != "" {
		t.Errorf("keys of an engine that started again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(left, two.keys()); diff != "" {
		t.Errorf("keys that it left the other (-want +got):\n%s", diff)
	}
}

func TestPeersNeedTheToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ has, shows string }{{"t", "other"}, {"", ""}, {"t", ""}} {
		e := engineNamed("one", "")
		server := httptest.NewServer(PeerHandler(e, test.has))
		told, err := newSealing(test.shows).seal(&peerReport{Access: Access{Version: 99}}, question)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(told, []byte("version")) {
			t.Error("what engines tell each other can be read on its way")
		}
		request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, bytes.NewReader(told))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		server.Close()
		if response.StatusCode != http.StatusForbidden || len(e.keys()) != 2 {
			t.Errorf("%+v: status %d, %d keys; want 403 and the keys as they were", test, response.StatusCode, len(e.keys()))
		}
	}
}

// TestRedirectsAreNotFollowed: neither the launch's token nor the engines' own
// key goes where an answer points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent on, with Authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	front := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/somewhere", http.StatusTemporaryRedirect))
	defer front.Close()
	e := engineNamed("one", front.URL)
	e.peers = []string{strings.TrimPrefix(front.URL, "http://")}
	New(Options{Engine: e, Token: "t"}).beat(t.Context())
}

// TestProxyAndCA goes to a TLS mothership that the system does not trust,
// through a real proxy.
func TestProxyAndCA(t *testing.T) {
	t.Parallel()
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{NextSeconds: 30, SatelliteVersion: 3})}
	secure := httptest.NewTLSServer(m)
	defer secure.Close()
	var through []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through = append(through, r.Method+" "+r.Host)
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		from, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(to, read); _ = to.Close() }()
		go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	}))
	defer proxy.Close()
	e := engineNamed("one", secure.URL)
	s := New(Options{Engine: e, Token: "t"})
	s.beat(t.Context())
	if !strings.Contains(s.failing, "certificate") {
		t.Errorf("without the CA: %q, want a problem with the certificate", s.failing)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	e.report.Mothership.CA, e.report.Mothership.Proxy = string(ca), proxy.URL
	s.beat(t.Context())
	if s.failing != "" || len(m.beats) != 1 {
		t.Errorf("with the CA and through the proxy: %q and %d heartbeats", s.failing, len(m.beats))
	}
	host, _ := url.Parse(secure.URL)
	if diff := cmp.Diff([]string{"CONNECT " + host.Host}, through); diff != "" {
		t.Errorf("through the proxy (-want +got):\n%s", diff)
	}
	for _, broken := range []config.Mothership{{URL: secure.URL, CA: "x"}, {URL: secure.URL, Proxy: "nonsense"}} {
		if _, err := NewTransport(broken); err == nil {
			t.Errorf("NewTransport(%+v) is no error", broken)
		}
	}
}
