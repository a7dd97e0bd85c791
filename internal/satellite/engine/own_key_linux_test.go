package engine

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/authn"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const ownTestKey = "own-key-of-the-satellite"

func ownConfigKey() config.Key {
	return config.Key{ID: config.InternalKeyID, Name: "own", SHA256: config.HashKey(ownTestKey)}
}

// from makes a call with a key from one of this machine's addresses.
func (e *testEngine) from(t *testing.T, host, key string) response {
	t.Helper()
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0))}).DialContext}
	defer transport.CloseIdleConnections()
	caller := *e
	caller.client = &http.Client{Transport: transport}
	res, err := caller.try(t.Context(), request{auth: "Simple " + key, body: "Neo"})
	if err != nil {
		t.Errorf("call from %s: %v", host, err)
	}
	return res
}

// podSlice is what the cluster tells of a service's one pod.
func podSlice(service, launch, host string, conditions discoveryv1.EndpointConditions) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: discoveryv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-x", Namespace: "algorithms", ResourceVersion: "1", UID: "u",
			Labels: map[string]string{discoveryv1.LabelServiceName: service, "constellation/launch": launch},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: conditions}},
	}
}

// tell makes the watch tell of a slice.
func (a *fakeAPI) tell(t *testing.T, kind string, slice *discoveryv1.EndpointSlice) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"type": kind, "object": slice})
	if err != nil {
		t.Fatal(err)
	}
	a.events <- string(data)
}

// ownKeyEngine is an engine whose one replica, at 127.0.0.1, a cluster tells of.
func ownKeyEngine(t *testing.T, opts Options, change func(*config.Routes)) (*testEngine, *fakeAPI) {
	t.Helper()
	host, port, err := net.SplitHostPort(newStrict(t, nil).addr)
	if err != nil {
		t.Fatal(err)
	}
	api := newFakeAPI(t, podSlice("algo-foo-bar", "", host, discoveryv1.EndpointConditions{Ready: new(true)}))
	r := lsRoute("foo/bar")
	r.Service = "algo-foo-bar"
	if r.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	routes := config.Routes{Launch: config.Launch{ID: "launch-1"}, Algorithms: []config.Route{r}}
	change(&routes)
	opts.Kubeconfig = api.kubeconfig(t)
	e := startEngineWith(t, opts, routes)
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)}, ownConfigKey())
	eventually(t, "the own key is in force and the replica known", func() bool { return e.from(t, host, ownTestKey).status == 200 })
	return e, api
}

func TestTheOwnKeyWorksFromPodsAlone(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{"event loop": {Loops: 2}, "net/http": {NoFastPath: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, api := ownKeyEngine(t, opts, func(*config.Routes) {})
			for _, pod := range []struct {
				slice *discoveryv1.EndpointSlice
				want  int
			}{
				{podSlice("algo-starts", "launch-1", "127.0.0.11", discoveryv1.EndpointConditions{Ready: new(false)}), 200},
				{podSlice("algo-ends", "launch-1", "127.0.0.12", discoveryv1.EndpointConditions{Ready: new(false), Terminating: new(true)}), 200},
				{podSlice("algo-other", "launch-2", "127.0.0.13", discoveryv1.EndpointConditions{Ready: new(true)}), 403},
				{podSlice("neighbour", "", "127.0.0.14", discoveryv1.EndpointConditions{Ready: new(true)}), 403},
				{podSlice("execution-engine", "launch-1", "127.0.0.15", discoveryv1.EndpointConditions{Ready: new(true)}), 403},
			} {
				api.tell(t, "ADDED", pod.slice)
				host := pod.slice.Endpoints[0].Addresses[0]
				t.Run(pod.slice.Name, func(t *testing.T) {
					t.Parallel()
					if got := e.from(t, host, ownTestKey); got.status != pod.want || got.status == 403 && !strings.Contains(got.body, host) {
						t.Errorf("call with the own key = %d %s, want %d", got.status, got.body, pod.want)
					}
					if got := e.from(t, host, testKey); got.status != 200 {
						t.Errorf("call with a caller's key = %d %s, want 200", got.status, got.body)
					}
				})
			}
			t.Run("from outside", func(t *testing.T) {
				t.Parallel()
				if got := e.from(t, "127.0.0.77", ownTestKey); got.status != 403 || !strings.Contains(got.body, "127.0.0.77") || !strings.Contains(got.body, "stage.own_key") {
					t.Errorf("call with the own key = %d %s, want 403 with the address and the setting", got.status, got.body)
				}
				if got := e.metric("constellation_engine_own_key_refused_total"); got == "0" || got == "" {
					t.Errorf("constellation_engine_own_key_refused_total = %q, want it counted", got)
				}
			})
		})
	}
}

// TestAPodThatCallsBeforeItIsKnown: its call waits until the cluster tells.
func TestAPodThatCallsBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{"event loop": {Loops: 2}, "net/http": {NoFastPath: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, api := ownKeyEngine(t, opts, func(*config.Routes) {})
			const handovers = `constellation_engine_handovers_total{of="call",reason="unknown_pod"}`
			before, err := strconv.Atoi(e.metric(handovers)) // the replica may have called before it was known
			if err != nil {
				t.Fatal(err)
			}
			answer := make(chan response, 1)
			go func() { answer <- e.from(t, "127.0.0.21", ownTestKey) }()
			eventually(t, "the call waits", func() bool { return len(e.callers.Waiting) == 1 })
			api.tell(t, "ADDED", podSlice("algo-new", "launch-1", "127.0.0.21", discoveryv1.EndpointConditions{Ready: new(false)}))
			if got := waittest.Receive(t, "the answer to the call that waits", answer); got.status != 200 {
				t.Errorf("the call of a pod that became known = %d %s, want 200", got.status, got.body)
			}
			want := before + 1
			if opts.NoFastPath {
				want = 0
			}
			if handed := e.metric(handovers); handed != strconv.Itoa(want) {
				t.Errorf("the event loop handed over %s calls of unknown pods, want %d", handed, want)
			}
		})
	}
}

// TestManyCallsOfUnknownPods: those beyond the places to wait are told to come
// back, and one who left gives their place back.
func TestManyCallsOfUnknownPods(t *testing.T) {
	t.Parallel()
	e, _ := ownKeyEngine(t, Options{}, func(*config.Routes) {})
	for range cap(e.callers.Waiting) - 1 {
		e.callers.Waiting <- struct{}{}
	}
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan *protocol.Failure)
	from := authn.RemoteOf(&http.Request{RemoteAddr: "127.0.0.31:1"})
	_, unknown := e.callers.Authenticate([]byte(ownTestKey), from)
	go func() { left <- e.callers.Await(ctx, unknown, from) }()
	eventually(t, "every place is taken", func() bool { return len(e.callers.Waiting) == cap(e.callers.Waiting) })
	if got := e.from(t, "127.0.0.32", ownTestKey); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("a call without a place to wait = %d %s, want 503 with Retry-After", got.status, got.body)
	}
	leave()
	if f := waittest.Receive(t, "the end of the wait", left); f == nil || len(e.callers.Waiting) != cap(e.callers.Waiting)-1 {
		t.Errorf("who left: %v, and %d places are taken; want %d", f, len(e.callers.Waiting), cap(e.callers.Waiting)-1)
	}
}

func TestTheOwnKeyFromAnyAddress(t *testing.T) {
	t.Parallel()
	e, _ := ownKeyEngine(t, Options{}, func(r *config.Routes) { r.OwnKey = config.OwnKeyAny })
	if got := e.from(t, "127.0.0.77", ownTestKey); got.status != 200 {
		t.Errorf("call with the own key, own_key any = %d %s, want 200", got.status, got.body)
	}
}

// TestTheOwnKeyWithoutACluster: the addresses that routes list count.
func TestTheOwnKeyWithoutACluster(t *testing.T) {
	local := newStrict(t, nil).addr
	for _, test := range []struct {
		endpoints []string
		want      int
	}{{[]string{local}, 200}, {[]string{"192.0.2.1:9999"}, 403}} {
		e := startEngine(t, lsRoute("foo/bar", test.endpoints...), lsRoute("foo/none"))
		e.writeKeys(ownConfigKey())
		eventually(t, "the own key is in force", func() bool { return e.do(request{auth: testKey, path: "/v1/status", method: "GET"}).status == 401 })
		path := "/v1/status"
		if got := e.do(request{auth: ownTestKey, path: path, method: "GET"}); got.status != test.want {
			t.Errorf("replicas at %v: GET %s from loopback = %d %s, want %d", test.endpoints, path, got.status, got.body, test.want)
		}
	}
}

// TestTheOwnKeyHasARateAtEachEngine: beyond it 429, and what one engine serves
// the other does not count.
func TestTheOwnKeyHasARateAtEachEngine(t *testing.T) {
	engines := startEngines(t, 2, oneAlgorithm(0, newStrict(t, nil).addr), "secret")
	linked(t, 1, engines...)
	limited := func(e *testEngine) bool {
		rate, _ := e.keys.Rate(config.InternalKeyID)
		return rate == constellation.KeyRate{PerSecond: .001, Burst: 3}
	}
	for _, e := range engines {
		key := ownConfigKey()
		key.Rate = constellation.KeyRate{PerSecond: .001, Burst: 3}
		e.writeKeys(key)
		eventually(t, "the rate is in use", func() bool { return limited(e) })
	}
	for i, e := range engines {
		for n := range 3 {
			if got := e.do(request{auth: ownTestKey}); got.status != 200 {
				t.Errorf("call %d at engine %d = %d %s, want 200", n, i, got.status, got.body)
			}
		}
		if got := e.do(request{auth: ownTestKey}); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("a call too many at engine %d = %d %s, want 429 with Retry-After", i, got.status, got.body)
		}
	}
}
