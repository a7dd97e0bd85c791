package placement

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// FuzzLabelsAreKubernetes compares our labels and selectors with those of Kubernetes,
// whose rules they follow.
func FuzzLabelsAreKubernetes(f *testing.F) {
	for _, selector := range []string{
		"", "a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b, c)", "a in (b),!c,d!=", "a=b,", "a in b", "a in ()", "in in (in)", "notin", "a b", "a in (,b)", "! a", "a=b c",
		"example.com/a=b", "Example.com/a", "/a", "a/", "a/b/c", "-a", "a-", "a..b", "a in (b", "a=(b)", "(a)", "a,,b", "é=1", "a=é", "a=\x00", "a!b", "a!", "!!a", "a in (b,,c)", "a in (b,)", "==a", "x in (a)b",
	} {
		f.Add(selector, "b", "c")
	}
	f.Fuzz(func(t *testing.T, selector, value, other string) {
		ours, err := constellation.ParseLabelSelector(selector)
		if err == nil {
			theirs, refused := labels.Parse(selector)
			if refused != nil {
				t.Fatalf("%q is a selector here, and none of Kubernetes: %v", selector, refused)
			}
			for _, set := range []map[string]string{{}, {"a": value}, {"a": other, "c": value, "d": other}, {"example.com/a": value, "in": "in"}} {
				if got, want := ours.Matches(set), theirs.Matches(labels.Set(set)); got != want {
					t.Errorf("%q matches %v = %v, and by Kubernetes %v", selector, set, got, want)
				}
			}
		}
		// Here < and >, which compare numbers there, nothing in parentheses and NUL are refused.
		if plain := strings.Join(strings.Fields(selector), ""); err != nil && len(selector) < 200 && !strings.ContainsAny(plain, "<>\x00") && !strings.Contains(plain, "()") {
			if theirs, refused := labels.Parse(selector); refused == nil {
				t.Errorf("%q is the selector %s of Kubernetes, and none here: %v", selector, theirs, err)
			}
		}
		var v constellation.Validation
		constellation.CheckLabels(&v, "labels", constellation.Labels{selector: value})
		if got, want := v.Err() == nil, len(validation.IsQualifiedName(selector)) == 0 && len(validation.IsValidLabelValue(value)) == 0; got != want {
			t.Errorf("the label %q=%q is fine = %v, and by Kubernetes %v", selector, value, got, want)
		}
	})
}
