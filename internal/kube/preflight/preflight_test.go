package preflight_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

func TestPreflight(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "ingress"); !strings.Contains(got, "no ingress controller") {
			t.Errorf("without IngressClass: %q", got)
		}
		class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/test"}}
		if _, err := s.Admin.NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = s.Admin.NetworkingV1().IngressClasses().Delete(context.WithoutCancel(t.Context()), class.Name, metav1.DeleteOptions{})
		})
		in.Settings.Monitor.On = true
		if got, want := checkOf(launchtest.Preflight(t, s.Cluster, in), "metrics"), "warning: this cluster does not serve monitoring.coreos.com/v1 ServiceMonitor"; !strings.HasPrefix(got, want) {
			t.Errorf("without the Prometheus Operator: %q, want %q", got, want)
		}
		in.Settings.Ingress.Class = "nonesuch"
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "ingress"); !strings.Contains(got, `no ingress class "nonesuch"`) || !strings.Contains(got, class.Name) {
			t.Errorf("wrong IngressClass: %q", got)
		}
		in.Settings.Ingress.Class = class.Name
		if problems := preflight.Problems(launchtest.Preflight(t, s.Cluster, in)); len(problems) != 0 {
			t.Errorf("problems of a good cluster: %+v", problems)
		}
		s.MustDeploy(t, in)
		if problems := preflight.Problems(launchtest.Preflight(t, s.Cluster, in)); len(problems) != 0 {
			t.Errorf("problems of a second deploy: %+v", problems)
		}
		other := in
		plan := *in.Plan
		plan.Launch.ID = "11111111-2222-4333-8444-555555555555"
		other.Plan = &plan
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, other), "other objects"); !strings.Contains(got, "holds another launch, "+in.Plan.Launch.ID) {
			t.Errorf("another launch in the namespace: %q", got)
		}
		cluster := launchtest.Connect(t, s.Kubeconfig, "nonesuch")
		if got := launchtest.ProblemOf(launchtest.Preflight(t, cluster, in), "namespace"); !strings.Contains(got, "kubectl create namespace nonesuch") {
			t.Errorf("a namespace that is not there: %q", got)
		}
	})
}

func TestPreflightFindsObjectsOfOthers(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		_, err := s.Admin.CoreV1().Services(s.Namespace).Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: render.EngineName}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, launchtest.Input()), "other objects"); !strings.Contains(got, "Service/execution-engine") {
			t.Errorf("an object of our name: %q", got)
		}
	})
}

func TestPreflightWithoutRights(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		checks := launchtest.Preflight(t, launchtest.Connect(t, s.As(t, "powerless", nil), s.Namespace), launchtest.Input())
		got := launchtest.ProblemOf(checks, "permissions")
		for _, want := range []string{"get, create, patch, delete configmaps", "get pods/log", "list, patch pods", "patch, delete deployments.apps", "kind: Role", "endpointslices"} {
			if !strings.Contains(got, want) {
				t.Errorf("permissions: %q does not say %q", got, want)
			}
		}
	})
}
