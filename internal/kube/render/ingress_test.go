package render_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

func TestIngressOfEachProvider(t *testing.T) {
	t.Parallel()
	type ingress struct {
		Class       any
		Paths       []any
		Annotations map[string]string
	}
	const byAnnotation = "kubernetes.io/ingress.class"
	paths := []any{"/v1/algo/", "/v1/web/algo/", "/v1/async/", "/v1/batch/", "/v1/status"}
	tests := map[string]ingress{
		"generic": {nil, paths, nil},
		"nginx": {"nginx", paths, map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":         "0",
			"nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
			"nginx.ingress.kubernetes.io/proxy-read-timeout":      "3000",
			"nginx.ingress.kubernetes.io/proxy-send-timeout":      "3000",
		}},
		"traefik": {"traefik", paths, nil},
		"alb": {"alb", paths, map[string]string{
			"alb.ingress.kubernetes.io/scheme":                   "internet-facing",
			"alb.ingress.kubernetes.io/target-type":              "ip",
			"alb.ingress.kubernetes.io/healthcheck-path":         "/readyz",
			"alb.ingress.kubernetes.io/load-balancer-attributes": "idle_timeout.timeout_seconds=3000",
		}},
		"agic": {nil, []any{"/v1/algo/*", "/v1/web/algo/*", "/v1/async/*", "/v1/batch/*", "/v1/status"}, map[string]string{
			byAnnotation: "azure/application-gateway",
			"appgw.ingress.kubernetes.io/request-timeout":   "3000",
			"appgw.ingress.kubernetes.io/health-probe-path": "/readyz",
		}},
		"openshift": {"openshift-default", paths, map[string]string{"haproxy.router.openshift.io/timeout": "3000s"}},
	}
	for _, provider := range render.Providers {
		in := launchtest.Input()
		in.Settings.Ingress, in.Stable = render.Ingress{Provider: provider}, true
		object := launchtest.Find(launchtest.Render(t, in), "Ingress/execution-engine")
		if provider == "none" {
			if object != nil {
				t.Error("provider none has an Ingress")
			}
			continue
		}
		got := ingress{Class: launchtest.At(object, "spec.ingressClassName"), Annotations: object.GetAnnotations()}
		for i := range paths {
			entry := fmt.Sprintf("spec.rules.0.http.paths.%d.", i)
			got.Paths = append(got.Paths, launchtest.At(object, entry+"path"))
			if kind, port := launchtest.At(object, entry+"pathType"), launchtest.At(object, entry+"backend.service.port.number"); kind != "Prefix" || port != int64(80) {
				t.Errorf("%s: pathType %v, port %v", provider, kind, port)
			}
		}
		if diff := cmp.Diff(tests[provider], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", provider, diff)
		}
	}
}

func TestIngressSettings(t *testing.T) {
	t.Parallel()
	in := launchtest.Input()
	in.Settings.Ingress = render.Ingress{Provider: "nginx", Class: "inside", Host: "algo.example.com", TLSSecret: "cert",
		Annotations: map[string]string{"nginx.ingress.kubernetes.io/proxy-body-size": "50m", "mine": "yes"}}
	object := launchtest.Find(launchtest.Render(t, in), "Ingress/execution-engine")
	for path, want := range map[string]any{
		"spec.ingressClassName": "inside", "spec.rules.0.host": "algo.example.com",
		"spec.tls.0.secretName": "cert", "spec.tls.0.hosts.0": "algo.example.com",
		"metadata.annotations.mine": "yes", "metadata.annotations.nginx~ingress~kubernetes~io/proxy-body-size": "50m",
	} {
		if got := launchtest.At(object, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}

func TestEdgeProfileIsOneEngine(t *testing.T) {
	t.Parallel()
	in := launchtest.Input()
	in.Settings.Profile = render.ProfileEdge
	objects := launchtest.Render(t, in)
	if got := launchtest.At(launchtest.Find(objects, "Deployment/execution-engine"), "spec.replicas"); got != int64(1) {
		t.Errorf("replicas = %v, want 1", got)
	}
	if launchtest.Find(objects, "PodDisruptionBudget/execution-engine") != nil {
		t.Error("a budget for a single pod would block every drain")
	}
}

// Who may reach whom, and how: the policies as a matrix.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	objects := launchtest.Render(t, launchtest.Input())
	deep := "NetworkPolicy/" + render.AlgorithmName("Deep/Thought_1")
	tests := []struct {
		policy, path string
		want         any
	}{
		{"NetworkPolicy/default-deny", "spec.ingress", nil},
		{"NetworkPolicy/default-deny", "spec.egress", nil},
		{"NetworkPolicy/default-deny", "spec.policyTypes", []any{"Ingress", "Egress"}},
		{"NetworkPolicy/execution-engine", "spec.ingress.0.from", nil},
		{"NetworkPolicy/execution-engine", "spec.ingress.0.ports.0.port", int64(8080)},
		{"NetworkPolicy/execution-engine", "spec.egress", []any{map[string]any{}}},
		{"NetworkPolicy/algo-foo-bar", "spec.ingress.0.from.0.podSelector.matchLabels.app~kubernetes~io/name", "execution-engine"},
		{"NetworkPolicy/algo-foo-bar", "spec.ingress.0.ports.0.port", int64(9999)},
		{"NetworkPolicy/algo-foo-bar", "spec.egress", []any{map[string]any{}}}, // network=full
		{deep, "spec.ingress.0.ports.0.port", int64(8000)},
		{deep, "spec.egress.0.ports.0.port", int64(53)},
		{deep, "spec.egress.0.to", nil},
		{deep, "spec.egress.1.to.0.podSelector.matchLabels.app~kubernetes~io/name", "execution-engine"},
		{deep, "spec.egress.1.ports.0.port", int64(8080)},
		{deep, "spec.egress.2", nil}, // network=isolated: nothing else
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, launchtest.At(launchtest.Find(objects, test.policy), test.path)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.policy, test.path, diff)
		}
	}
}
