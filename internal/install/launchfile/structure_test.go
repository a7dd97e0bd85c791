package launchfile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install/launchfile"
)

// A list stands in a file as Kubernetes has it, with variables in its texts.
func TestReadStructures(t *testing.T) {
	t.Parallel()
	read := func(text string) ([]launchfile.Entry, error) {
		return launchfile.Reader{Variable: environment, Stdin: strings.NewReader(text)}.Read([]string{"-"})
	}
	got, err := read("stage:\n  placement:\n    labels: {team: vision}\n    foo/bar:\n      tolerations:\n      - {key: 'r-${REGION}', operator: Exists}\n")
	want := []launchfile.Entry{
		{Key: "stage.placement.labels.team", Value: "vision", From: "stdin:3"},
		{Key: "stage.placement.foo/bar.tolerations", Value: `[{"key":"r-eu-1","operator":"Exists"}]`, From: "stdin:5"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Read: %v %s", err, diff)
	}
	for text, want := range map[string]string{
		"stage: {placement: {tolerations: [{key: '${NONE}'}]}}": "stage.placement.tolerations names the environment variable NONE",
		"stage: {placement: {tolerations: [!!str gpu]}}":        "tags such as",
		"stage: {placement: {tolerations: [&a {key: b}]}}":      "anchors",
		"stage: {placement: {tolerations: ['${PASSWORD}']}}":    "a URL with a password",
		"stage: {placement: {priority_class: [high]}}":          "a list stands where one value belongs",
		"stage: {placement: {foo/bar: {toleration: []}}}":       `there is no setting "stage.placement.foo/bar.toleration"`,
		"stage: {placement: {node_selector: [a]}}":              "a list stands where a group of settings belongs",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%s) = %v, want %q", text, err, want)
		}
	}
}
