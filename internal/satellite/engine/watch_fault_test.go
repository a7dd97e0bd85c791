package engine

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Whatever comes in place of the API server's answers, and though each watch
// breaks at its first event, an engine gets ready and hears soon of every
// replica that comes and goes.
func TestReplicasFromAClusterThatBreaksItsAnswers(t *testing.T) {
	kubeconfig := kubetest.StartAPIServer(t)
	admin, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kubernetes.NewForConfig(admin)
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]kubetest.Fault{
		"refused":     kubetest.Refused,
		"cut":         kubetest.Cut,
		"cut quietly": kubetest.CutQuietly,
		"a page":      kubetest.Page,
		"busy":        kubetest.Status(http.StatusTooManyRequests, 1, "too many requests"),
		"no leader":   kubetest.Status(http.StatusInternalServerError, 0, "etcdserver: leader changed"),
	} {
		t.Run(name, func(t *testing.T) {
			proxy := kubetest.NewProxy(t, kubeconfig)
			proxy.Befall(kubetest.EachTwice(fault))
			r, ready := clusterRoute(t, cluster, proxy.Kubeconfig)
			e := startEngineWith(t, Options{Kubeconfig: proxy.Kubeconfig}, config.Routes{Algorithms: []config.Route{r}})
			eventually(t, "the engine is ready", func() bool { return e.do(request{method: "GET", path: "/readyz"}).status == 200 })
			for round := range 4 {
				ready(round%2 == 0)
				want := fmt.Sprintf("constellation_engine_replicas_ready{algorithm=\"foo/bar\"} %d\n", 1-round%2)
				eventually(t, fmt.Sprintf("round %d is heard of", round), func() bool { return strings.Contains(e.scrape(), want) })
			}
		})
	}
}

// clusterRoute makes a namespace with the endpoints of a service, makes it the
// kubeconfig's, and returns the service's route, and what sets the one
// endpoint ready or not.
func clusterRoute(t *testing.T, cluster kubernetes.Interface, kubeconfig string) (config.Route, func(ready bool)) {
	t.Helper()
	made, err := cluster.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Replace(string(file), "cluster: proxy\n    user", "cluster: proxy\n    namespace: "+made.Name+"\n    user", 1)
	if err := os.WriteFile(kubeconfig, []byte(named), 0o600); err != nil || named == string(file) {
		t.Fatalf("name the namespace in %s: %v", file, err)
	}
	route := lsRoute("foo/bar")
	route.Service, route.Port = "algo-foo-bar", 9999
	slice, err := cluster.DiscoveryV1().EndpointSlices(made.Name).Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "algo-foo-bar-x", Labels: map[string]string{discoveryv1.LabelServiceName: route.Service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return route, func(ready bool) {
		slice.Endpoints[0].Conditions.Ready = &ready
		if slice, err = cluster.DiscoveryV1().EndpointSlices(made.Name).Update(t.Context(), slice, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
