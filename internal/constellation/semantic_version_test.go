package constellation

import (
	"strings"
	"testing"
)

func TestParseSemanticVersion(t *testing.T) {
	for s, want := range map[string]bool{
		"1.2.3": true, "0.0.0": true, "1.2.3-rc1": true, "1.2.3-rc.1+b5": true, "1.0.0-alpha.0valid": true, "1.0.0--": true,
		"1.2.3+20130313144700": true, "1.0.0+0.build.01": true, "99999999999999999999999.0.0": true,
		"": false, "1.2": false, "v1.2.3": false, "01.2.3": false, "1.2.3-01": false, "1.2.3-": false, "1.2.3-a..b": false, "1.2.3+": false,
		"1.2.3 ": false, "1.2.3\n": false, "1.2.3-ü": false, "22.04": false, "latest": false,
		"1.0.0-" + strings.Repeat("a", MaxSemanticVersion): false,
	} {
		if _, got := ParseSemanticVersion(s); got != want {
			t.Errorf("ParseSemanticVersion(%q) = %v, want %v", s, got, want)
		}
		var v Validation
		if CheckSemanticVersion(&v, "semantic_version", s); (v.Err() == nil) != (want || s == "") {
			t.Errorf("CheckSemanticVersion(%q) = %v", s, v.Err())
		}
	}
}

// TestSemanticVersionPrecedence has the order of semver.org's section 11.
func TestSemanticVersionPrecedence(t *testing.T) {
	order := []string{
		"1.0.0-1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
		"1.0.0", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0", "18446744073709551616.0.0",
	}
	parse := func(s string) SemanticVersion {
		v, ok := ParseSemanticVersion(s)
		if !ok {
			t.Fatalf("ParseSemanticVersion(%q) is none", s)
		}
		return v
	}
	for i, a := range order {
		for j, b := range order {
			want := min(1, max(-1, i-j))
			if got := parse(a).Compare(parse(b)); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
		if got := parse(a + "+b1").Compare(parse(a + "+b2")); got != 0 {
			t.Errorf("%s: builds differ in precedence: %d", a, got)
		}
		if got := parse(a).Compare(SemanticVersion{}); got != 1 {
			t.Errorf("Compare(%s, none) = %d, want 1", a, got)
		}
	}
}

func TestRuntimePaths(t *testing.T) {
	for _, test := range []struct {
		path       string
		ok, health bool // as a path, as a health path
	}{
		{"/", true, true}, {"/predict/v1", true, true}, {"/a%20b;c=1,d@e:~'()*!$&+", true, true},
		{"/x?y=1", false, true}, {"/x#y", false, false}, {"predict", false, false}, {"/a b", false, false}, {"/a\tb", false, false},
		{"/x\r\nHost: evil", false, false}, {"/x\x00", false, false}, {"/ü", false, false}, {"/%zz", false, false}, {"/%4", false, false},
		{`/a"b`, false, false}, {"/" + strings.Repeat("a", MaxPath), false, false},
	} {
		r := Runtime{Path: test.path}.WithDefaults()
		var v Validation
		if r.Check(&v, "runtime"); (v.Err() == nil) != test.ok {
			t.Errorf("path %q: %v, want ok %v", test.path, v.Err(), test.ok)
		}
		r, v = Runtime{HealthPath: test.path}.WithDefaults(), Validation{}
		if r.Check(&v, "runtime"); (v.Err() == nil) != test.health {
			t.Errorf("health path %q: %v, want ok %v", test.path, v.Err(), test.health)
		}
	}
}
