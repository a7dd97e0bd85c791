package engine

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestAlertRules: every alert has what whoever reads it needs, and asks for
// metrics that the dashboard shows too, which TestDashboard holds to be there.
func TestAlertRules(t *testing.T) {
	data, err := os.ReadFile("../../../deploy/grafana/satellite-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		t.Fatal(err)
	}
	dashboard, err := os.ReadFile("../../../deploy/grafana/satellite.json")
	if err != nil {
		t.Fatal(err)
	}
	names, seen := regexp.MustCompile(`constellation_[a-z_]+`), map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || rule.Annotations["summary"] == "" || rule.Labels["severity"] == "" || seen[rule.Alert] {
				t.Errorf("rule %+v of %s lacks a name of its own, a summary or a severity", rule, group.Name)
			}
			seen[rule.Alert] = true
			metrics := names.FindAllString(rule.Expr, -1)
			if len(metrics) == 0 {
				t.Errorf("%s asks for no metric", rule.Alert)
			}
			for _, metric := range metrics {
				if !strings.Contains(string(dashboard), metric) {
					t.Errorf("%s asks for %s, which the dashboard does not show", rule.Alert, metric)
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d alerts, want all of them", len(seen))
	}
}
