package preflight_test

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// An Ingress of another namespace that has our class, host and path is found;
// one that only looks alike is not, and where Ingresses may not be read, that
// is said.
func TestPreflightFindsWhoHasTheIngressesPlace(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		in.Settings.Ingress = render.Ingress{Provider: "nginx", Host: launchtest.HostOf(s.Namespace)}
		other := launchtest.NewSpace(t, strings.Split(t.Name(), "/")[1])
		class, prefix := "nginx", networkingv1.PathTypePrefix
		backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}
		for _, test := range []struct {
			class, host, path string
			taken             bool
		}{
			{class, launchtest.HostOf(s.Namespace), "/v1/algo/", true},
			{class, launchtest.HostOf(s.Namespace), "/v1/algo", true},
			{class, launchtest.HostOf(s.Namespace), "/v1/algo/foo/bar", true}, // one algorithm's calls
			{class, launchtest.HostOf(s.Namespace), "/v1/status", true},
			{class, launchtest.HostOf(s.Namespace), "/", false}, // the longer path wins
			{class, launchtest.HostOf(s.Namespace), "/v1/algorithms", false},
			{class, "other." + launchtest.HostOf(s.Namespace), "/v1/algo/", false},
			{"traefik", launchtest.HostOf(s.Namespace), "/v1/algo/", false},
		} {
			ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Spec: networkingv1.IngressSpec{
				IngressClassName: &test.class,
				Rules: []networkingv1.IngressRule{{Host: test.host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{Path: test.path, PathType: &prefix, Backend: backend}},
				}}}},
			}}
			ingresses := other.Admin.NetworkingV1().Ingresses(other.Namespace)
			if _, err := ingresses.Create(t.Context(), ingress, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "ingress host")
			if taken := strings.Contains(got, "Ingress theirs of namespace "+other.Namespace+" already has"); taken != test.taken || taken == (got == "") {
				t.Errorf("%+v: %q", test, got)
			}
			if err := ingresses.Delete(t.Context(), "theirs", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range launchtest.Preflight(t, launchtest.Connect(t, s.As(t, "powerless", nil), s.Namespace), in) {
			if c.Name == "ingress host" && (c.State != preflight.Unknown || !strings.Contains(c.Message, "may not list the Ingresses")) {
				t.Errorf("without rights: %+v", c)
			}
		}
		s.MustDeploy(t, in)
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "ingress host"); got != "" {
			t.Errorf("its own Ingress: %q", got)
		}
	})
}
