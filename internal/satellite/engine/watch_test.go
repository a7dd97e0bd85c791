package engine

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// fakeAPI speaks as much of an API server's wire as one watch needs. The real
// one is in the end-to-end test; this one can be made to go away.
type fakeAPI struct {
	*httptest.Server
	slice  *discoveryv1.EndpointSlice
	events chan string
}

func newFakeAPI(t *testing.T, slice *discoveryv1.EndpointSlice) *fakeAPI {
	t.Helper()
	api := &fakeAPI{slice: slice, events: make(chan string)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /apis/discovery.k8s.io/v1", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: discoveryv1.SchemeGroupVersion.String(),
			APIResources: []metav1.APIResource{{Name: "endpointslices", Kind: "EndpointSlice", Namespaced: true}},
		})
	})
	mux.HandleFunc("GET /apis/discovery.k8s.io/v1/namespaces/algorithms/endpointslices", func(w http.ResponseWriter, r *http.Request) {
		if got := r.FormValue("labelSelector"); got != discoveryv1.LabelServiceName {
			t.Errorf("labelSelector = %q, want %q", got, discoveryv1.LabelServiceName)
		}
		if r.FormValue("watch") == "" {
			writeJSON(w, discoveryv1.EndpointSliceList{
				TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: discoveryv1.SchemeGroupVersion.String()}, ListMeta: metav1.ListMeta{ResourceVersion: "1"},
				Items: []discoveryv1.EndpointSlice{*api.slice},
			})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case event := <-api.events:
				fmt.Fprintln(w, event)
			case <-r.Context().Done():
				return
			}
		}
	})
	api.Server = httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return api
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// modify tells the watch that the endpoint is ready or not.
func (a *fakeAPI) modify(t *testing.T, version int, ready bool) {
	t.Helper()
	slice := a.slice.DeepCopy()
	slice.ResourceVersion = strconv.Itoa(version)
	slice.Endpoints[0].Conditions.Ready = &ready
	data, err := json.Marshal(map[string]any{"type": "MODIFIED", "object": slice})
	if err != nil {
		t.Fatal(err)
	}
	a.events <- string(data)
}

func (a *fakeAPI) kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := `{"apiVersion":"v1","kind":"Config","current-context":"x","clusters":[{"name":"x","cluster":{"server":"` + a.URL + `"}}],` +
		`"users":[{"name":"x","user":{}}],"contexts":[{"name":"x","context":{"cluster":"x","user":"x","namespace":"algorithms"}}]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReplicasFromACluster(t *testing.T) {
	s := newStrict(t, nil)
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	api := newFakeAPI(t, &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: discoveryv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{
			Name: "algo-foo-bar-x", Namespace: "algorithms", ResourceVersion: "1", UID: "u",
			Labels: map[string]string{discoveryv1.LabelServiceName: "algo-foo-bar"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
	})
	r := lsRoute("foo/bar")
	r.Service = "algo-foo-bar"
	if r.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	e := startEngineWith(t, Options{Kubeconfig: api.kubeconfig(t)}, config.Routes{Algorithms: []config.Route{r}})
	ready := func() bool { return e.do(request{method: "GET", path: "/readyz"}).status == 200 }
	eventually(t, "the engine is ready", ready)
	if got := e.do(request{body: "Neo"}); got.status != 200 {
		t.Errorf("the first call after readiness = %d %s, want 200", got.status, got.body)
	}
	api.modify(t, 2, false)
	eventually(t, "an unready replica gets no calls", func() bool { return e.do(request{}).status == 503 })
	api.modify(t, 3, true)
	eventually(t, "a ready one does", func() bool { return e.do(request{}).status == 200 })

	_ = api.Listener.Close() // first: Close would wait for a watch that comes in between
	api.CloseClientConnections()
	api.Close()
	if got := e.do(request{body: "Neo"}); got.status != 200 || !ready() {
		t.Errorf("call while the API server is away = %d %s, want 200", got.status, got.body)
	}
	if !strings.Contains(e.scrape(), `constellation_engine_replicas_ready{algorithm="foo/bar"} 1`) {
		t.Error("the replica is not counted while the API server is away")
	}
}
