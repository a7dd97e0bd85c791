package render_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// TestMetricsAreOpenToWhomTheSettingNames: calls are for anybody, metrics for
// the engines themselves and whom stage.metrics.allow names.
func TestMetricsAreOpenToWhomTheSettingNames(t *testing.T) {
	engines := "map[podSelector:map[matchLabels:map[app.kubernetes.io/instance:9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345 app.kubernetes.io/name:execution-engine]]]"
	for value, want := range map[string]string{
		"": "[" + engines + "]", "none": "[" + engines + "]", "any": "<nil>",
		"monitoring, 10.1.2.3/8": "[" + engines + " map[namespaceSelector:map[matchLabels:map[kubernetes.io/metadata.name:monitoring]]] map[ipBlock:map[cidr:10.0.0.0/8]]]",
	} {
		allow, err := render.ParseMetricsAllow(value)
		if err != nil {
			t.Fatalf("ParseMetricsAllow(%q) = %v", value, err)
		}
		in := launchtest.Input()
		in.Settings.MetricsAllow = allow
		policy := launchtest.Find(launchtest.Render(t, in), "NetworkPolicy/execution-engine")
		if diff := cmp.Diff(want, fmt.Sprint(launchtest.At(policy, "spec.ingress.1.from"))); diff != "" {
			t.Errorf("%q: who may read metrics (-want +got):\n%s", value, diff)
		}
		if got := fmt.Sprint(launchtest.At(policy, "spec.ingress.0"), launchtest.At(policy, "spec.ingress.1.ports.0.port")); got != "map[ports:[map[port:8080 protocol:TCP]]] 9090" {
			t.Errorf("%q: %s, want calls for anybody, and 9090 in the second rule", value, got)
		}
	}
	for _, value := range []string{"any,monitoring", "Monitoring", "10.0.0.0/99", ",", "a b"} {
		if _, err := render.ParseMetricsAllow(value); err == nil {
			t.Errorf("ParseMetricsAllow(%q) is no error", value)
		}
	}
}

// TestMetricsHaveAServiceWhereTheyAreRead: what nobody reads has no Service, and
// a ServiceMonitor is made where the cluster knows such.
func TestMetricsHaveAServiceWhereTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		monitor, allow, api string
		service, made       bool
	}{
		{"off", "none", render.MonitorAPI, false, false},
		{"", "monitoring", render.MonitorAPI, true, false},
		{"on", "none", render.MonitorAPI, true, true},
		{"on", "any", "", true, false},
		{"release=prometheus, team=", "any", render.MonitorAPI, true, true},
	} {
		in := launchtest.Input()
		var err error
		if in.Settings.Monitor, err = render.ParseMonitor(test.monitor); err != nil {
			t.Fatalf("ParseMonitor(%q) = %v", test.monitor, err)
		}
		in.Settings.MetricsAllow, _ = render.ParseMetricsAllow(test.allow)
		in.APIs.ServiceMonitor = test.api
		objects := launchtest.Render(t, in)
		service, monitor := launchtest.Find(objects, "Service/execution-engine-metrics"), launchtest.Find(objects, "ServiceMonitor/execution-engine")
		if (service != nil) != test.service || (monitor != nil) != test.made {
			t.Errorf("%+v: a Service is made: %v, a ServiceMonitor: %v", test, service != nil, monitor != nil)
		}
		if len(in.Settings.Monitor.Labels) > 0 && (monitor.GetLabels()["release"] != "prometheus" || monitor.GetLabels()["app.kubernetes.io/name"] != render.EngineName) {
			t.Errorf("%+v: labels %v, want release and our own", test, monitor.GetLabels())
		}
	}
	in := launchtest.Input()
	in.Settings.PodMonitor = render.Monitor{On: true, Labels: map[string]string{"release": "prometheus"}}
	objects := launchtest.Render(t, in)
	pods, engine := launchtest.Find(objects, "PodMonitor/execution-engine"), launchtest.Find(objects, "Deployment/execution-engine")
	if pods == nil || pods.GetLabels()["release"] != "prometheus" || launchtest.Find(objects, "Service/execution-engine-metrics") != nil || launchtest.Find(objects, "ServiceMonitor/execution-engine") != nil {
		t.Errorf("a PodMonitor alone is %v, want it with its label, without Service and ServiceMonitor", pods)
	}
	if port := fmt.Sprint(launchtest.At(engine, "spec.template.spec.containers.0.ports")); !strings.Contains(port, "name:"+fmt.Sprint(launchtest.At(pods, "spec.podMetricsEndpoints.0.port"))) {
		t.Errorf("the engine's ports are %s, want the one that the PodMonitor names", port)
	}
	in.APIs.PodMonitor = ""
	if launchtest.Find(launchtest.Render(t, in), "PodMonitor/execution-engine") != nil {
		t.Error("a PodMonitor is made where the cluster knows none")
	}
	for _, value := range []string{"maybe", "a b=c", "x=y z", "app.kubernetes.io/name=x", "constellation/launch=x", "on,a=b", "=x"} {
		if m, err := render.ParseMonitor(value); err == nil {
			t.Errorf("ParseMonitor(%q) = %+v, want an error", value, m)
		}
	}
}
