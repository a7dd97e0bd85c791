package constellation

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestParseLabelSelector(t *testing.T) {
	t.Parallel()
	labels := Labels{"region": "eu", "tier": "prod", "example.com/gpu": "", "in": "x"}
	for selector, want := range map[string]bool{
		"": true, " ": true, "region=eu": true, "region==eu": true, "region = eu , tier": true, "region=us": false,
		"region!=eu": false, "zone!=eu": true, "region in (us, eu)": true, "region in (us)": false, "region notin (us,de)": true, "region notin(eu)": false, "zone notin (eu)": true,
		"tier": true, "!tier": false, "zone": false, "! zone": true, "example.com/gpu": true, "example.com/gpu=": true, "example.com/gpu=,tier=prod": true, "region=": false,
		"region in (,eu)": true, "in=x": true, "in in (x)": true, "region in (in,notin,eu)": true, "tier=prod,tier=dev": false,
	} {
		s, err := ParseLabelSelector(selector)
		if err != nil || s.Matches(labels) != want {
			t.Errorf("%q matches = %v, %v; want %v", selector, s.Matches(labels), err, want)
		}
		again, err := ParseLabelSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q is written %q, which reads %q, %v", selector, s, again, err)
		}
	}
	for selector, want := range map[string]string{
		"region=eu,":                        "at its end: here is the key",
		"region in eu":                      `character 11, "eu": after in are values in parentheses`,
		"region in (eu":                     "at its end: between two values",
		"region in ()":                      `character 12, ")": between the parentheses`,
		"region in (eu us)":                 `character 15, "us": between two values is a ','`,
		"region eu":                         `character 8, "eu": after a key`,
		"region=eu tier=prod":               `character 11, "tier": between two requirements`,
		"région=eu":                         `character 1, "région": the name of a label`,
		"region=<script>":                   `character 8, "<": here is the value`,
		"region>5":                          `character 7, ">": after a key`,
		",region":                           `character 1, ",": here is the key`,
		"!":                                 "at its end: here is the key",
		"Example.com/a=b":                   "the prefix of a label",
		"region=" + strings.Repeat("x", 64): "at most 63 characters",
		strings.Repeat("a,", 20) + "a":      "at most 20 requirements",
		"a in (" + strings.Repeat("b,", 50) + "c)": "at most 50 values",
		strings.Repeat("a", 1001):                  "at most 1000 characters",
	} {
		var e *Error
		if _, err := ParseLabelSelector(selector); !errors.As(err, &e) || !strings.Contains(e.Message, want) {
			t.Errorf("%q = %v, want an error with %q", selector, err, want)
		}
	}
}

func TestParseLabels(t *testing.T) {
	t.Parallel()
	got, err := ParseLabels(" region=eu\r\ntier = prod, example.com/gpu=\n\n")
	if err != nil || !maps.Equal(got, Labels{"region": "eu", "tier": "prod", "example.com/gpu": ""}) {
		t.Errorf("labels = %v, %v", got, err)
	}
	if again, err := ParseLabels(got.Text()); err != nil || !again.Equal(got) {
		t.Errorf("they are written %q, which reads %v, %v", got.Text(), again, err)
	}
	var many strings.Builder
	for i := range 33 {
		many.WriteString("k" + strings.Repeat("x", i) + "=v\n")
	}
	for text, want := range map[string]string{
		"region":                         "write key=value",
		"a=1\na=2":                       `"a" is there twice`,
		"=x":                             "a name before its '='",
		"a b=c":                          "the name of a label",
		"a=b c":                          "the value of a label",
		"a=<script>alert(1)</script>":    "the value of a label",
		"<script>=1":                     "the name of a label",
		"a=" + strings.Repeat("x", 300):  "at most 63 characters",
		strings.Repeat("k", 300) + "=v":  "at most 63 characters",
		"/a=b":                           "the prefix of a label",
		many.String():                    "at most 32 labels, not 33",
		"a=\x1b[31mred":                  "the value of a label",
		"-a=b":                           "begins and ends",
		strings.Repeat("p", 254) + "/a=": "the prefix of a label",
	} {
		var e *Error
		if _, err := ParseLabels(text); !errors.As(err, &e) || len(e.Fields) == 0 || e.Fields[0].Field != "labels" || !strings.Contains(e.Fields[0].Message, want) {
			t.Errorf("%.40q = %v, want an error with %q", text, err, want)
		}
	}
}

func TestRulesChooseByLabels(t *testing.T) {
	t.Parallel()
	id := "0b5c3f0e-6f0d-4f7e-9d56-0f6c8b1f3a52"
	notice := &Notice{SatelliteID: &id, SatelliteName: "Prod West", Labels: Labels{"tier": "staging"}.Over(Labels{"tier": "prod", "region": "eu"})}
	for selector, want := range map[SatelliteSelector]bool{
		{}: true, {Labels: "region=eu"}: true, {Labels: "tier=staging"}: true, {Labels: "tier=prod"}: false,
		{Name: "prod*", Labels: "region"}: true, {Name: "dev*", Labels: "region"}: false,
	} {
		if got := selector.Matches(notice); got != want {
			t.Errorf("%+v matches = %v, want %v", selector, got, want)
		}
	}
	if (SatelliteSelector{Labels: "!tier"}).Matches(&Notice{}) {
		t.Error("a rule of labels tells of what is of no satellite")
	}
	if !(SatelliteSelector{}).Matches(&Notice{}) {
		t.Error("a rule of everything does not tell of what is of no satellite")
	}
}
