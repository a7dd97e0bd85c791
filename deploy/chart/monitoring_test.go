package chart

import (
	"maps"
	"os"
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// TestOperatorReadsIt: the monitor and the rules have no field that the Prometheus
// operator's own types lack, and say what the values and the alert rules do.
func TestOperatorReadsIt(t *testing.T) {
	t.Parallel()
	var rules monitoring.PrometheusRuleSpec
	data, err := os.ReadFile("files/alerts.yaml")
	if err == nil {
		err = yaml.UnmarshalStrict(data, &rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := render(open(t), "constellation", read(t, "testdata/values/everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var monitor monitoring.ServiceMonitor
	var rule monitoring.PrometheusRule
	ports := map[string]bool{}
	var service map[string]string // labels
	for _, object := range objects(t, files) {
		data, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		switch object.GetKind() {
		case "ServiceMonitor":
			err = yaml.UnmarshalStrict(data, &monitor)
		case "PrometheusRule":
			err = yaml.UnmarshalStrict(data, &rule)
		case "Service":
			if object.GetName() == "constellation" {
				service = object.GetLabels()
				for _, port := range at(t, object, "spec", "ports").([]any) {
					ports[port.(map[string]any)["name"].(string)] = true
				}
			}
		}
		if err != nil {
			t.Errorf("the operator cannot read the %s: %v", object.GetKind(), err)
		}
	}
	if len(monitor.Spec.Endpoints) != 1 || monitor.Labels["release"] != "prometheus" {
		t.Fatalf("the monitor is %+v", monitor)
	}
	if e := monitor.Spec.Endpoints[0]; !ports[e.Port] || e.Path != "/metrics" || e.Interval != "15s" {
		t.Errorf("it asks %+v, and the Service has the ports %v", e, slices.Collect(maps.Keys(ports)))
	}
	for name, value := range monitor.Spec.Selector.MatchLabels {
		if service[name] != value {
			t.Errorf("it selects %s=%s, and the Service has %v", name, value, service)
		}
	}
	if len(rule.Spec.Groups) != len(rules.Groups) || len(rule.Spec.Groups) == 0 || len(rule.Spec.Groups[0].Rules) != len(rules.Groups[0].Rules) || rule.Labels["release"] != "prometheus" {
		t.Errorf("the rules are %+v, want all of files/alerts.yaml", rule)
	}
}
