package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var (
	metricNames = regexp.MustCompile(`\b(?:constellation|process)_[a-z_]+`)
	metricLine  = regexp.MustCompile(`(?m)^((?:constellation|process)_[a-z_]+)(?:\{| )`)
	metricText  = regexp.MustCompile(`"(constellation_[a-z_]*[a-z])"`)
	histograms  = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// mothershipMetrics are those that a server tells, and those that it will when there
// is something to count: the sources name them.
func mothershipMetrics(t *testing.T) map[string]bool {
	t.Helper()
	i := serveInProcess(t, dataDir(t))
	fetch(t, http.DefaultClient, "GET", i.url+"/healthz", "")
	_, body := fetch(t, http.DefaultClient, "GET", i.url+"/metrics", "")
	known := map[string]bool{}
	for _, m := range metricLine.FindAllStringSubmatch(body, -1) {
		known[histograms.ReplaceAllString(m[1], "")] = true
	}
	for _, dir := range []string{"httpserve", "jobs", "serve", "registry", "storage", "control", "signon", "tracing"} {
		files, err := filepath.Glob("../../internal/" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("the sources of %s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range metricText.FindAllStringSubmatch(string(source), -1) {
				known[m[1]] = true
			}
		}
	}
	return known
}

// TestMothershipDashboard: each query of the dashboard and of the alert rules asks for
// metrics that a server has, and each metric of ours is on the dashboard.
func TestMothershipDashboard(t *testing.T) {
	t.Parallel()
	known := mothershipMetrics(t)
	data, err := os.ReadFile("../../deploy/grafana/mothership.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	asks := func(what, expr string) {
		names := metricNames.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for no metric", what)
		}
		for _, name := range names {
			name = histograms.ReplaceAllString(name, "")
			shown[name] = true
			if !known[name] {
				t.Errorf("%s asks for %s, which no server has", what, name)
			}
		}
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asks("panel "+panel.Title, target.Expr)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(name, "constellation_") && !shown[name] {
			t.Errorf("no panel of deploy/grafana/mothership.json shows %s", name)
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if data, err = os.ReadFile("../../deploy/grafana/mothership-alerts.yaml"); err == nil {
		err = yaml.UnmarshalStrict(data, &rules)
	}
	if err != nil || len(rules.Groups) == 0 {
		t.Fatalf("the alert rules: %+v, %v", rules, err)
	}
	seen := map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || rule.Annotations["summary"] == "" || rule.Labels["severity"] == "" || seen[rule.Alert] {
				t.Errorf("rule %+v of %s lacks a name of its own, a summary or a severity", rule, group.Name)
			}
			seen[rule.Alert] = true
			asks("alert "+rule.Alert, rule.Expr)
		}
	}
}
