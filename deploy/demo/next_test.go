package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/admin"
)

// TestNextLeadsToPages has every address of the panel that the demo ends with
// be one that the panel answers.
func TestNextLeadsToPages(t *testing.T) {
	t.Parallel()
	const panel = "http://192.0.2.1:8080"
	text := next{
		Panel: panel, Call: "curl http://192.0.2.9/v1/algo/demo/hello", Install: "algo-install satellite S L",
		Satellite: "/satellites/S", Launch: "/satellites/S/launches/L", Kubeconfig: "/tmp/kubeconfig",
	}.String()
	found := regexp.MustCompile(regexp.QuoteMeta(panel)+`(/\S*)`).FindAllStringSubmatch(text, -1)
	if len(found) < 5 {
		t.Fatalf("the demo ends with %d addresses, want 5 or more:\n%s", len(found), text)
	}
	pattern := regexp.MustCompile(`\{[^}]*\}`)
	for _, path := range found {
		answered := false
		for _, r := range admin.Routes() {
			answered = answered || r.Method == "GET" && regexp.MustCompile("^"+pattern.ReplaceAllString(r.Pattern, "[^/]+")+"$").MatchString(path[1])
		}
		if !answered {
			t.Errorf("the panel has no page %s", path[1])
		}
	}
	for _, want := range []string{"algo-install satellite S L status", "algo-install satellite S L deploy", "curl http://192.0.2.9/v1/algo/demo/hello"} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not end with %q:\n%s", want, text)
		}
	}
}
