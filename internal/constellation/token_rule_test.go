package constellation

import "testing"

func TestClaimConditions(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"sub": "repo:corp/models:ref:refs/heads/main", "protected": true, "id": 7.0, "groups": []any{"a", "corp/b"}, "kubernetes.io": map[string]any{"namespace": "ci"}}
	for _, test := range []struct {
		claim, value string
		want         bool
	}{
		{"sub", "repo:corp/models:ref:refs/heads/main", true}, {"sub", "repo:corp/*", true}, {"sub", "*main", true}, {"sub", "repo:*:ref:*/main", true},
		{"sub", "*", true}, {"sub", "repo:corp/*:ref:refs/tags/*", false}, {"sub", "repo:corp", false}, {"sub", "*models", false}, {"sub", "repo:evil/*", false},
		{"protected", "true", true}, {"protected", "false", false}, {"id", "7", true}, {"id", "8", false}, {"groups", "corp/*", true}, {"groups", "c", false},
		{"kubernetes.io", "*", false}, {"kubernetes.io.namespace", "ci", true}, {"kubernetes.io.name", "ci", false}, {"missing", "*", false},
	} {
		if got := (ClaimCondition{test.claim, test.value}).Matches(claims); got != test.want {
			t.Errorf("%s = %q matches: %v, want %v", test.claim, test.value, got, test.want)
		}
	}
	if !(ClaimCondition{"a.b", "x"}).Matches(map[string]any{"a": map[string]any{"b": "x"}}) {
		t.Error("a path does not find a claim in a claim")
	}
	for pattern, text := range map[string]string{"ab*ba": "aba", "a*b*c": "acb", "*a*a": "a"} {
		if glob(pattern, text) {
			t.Errorf("glob(%q, %q) holds", pattern, text)
		}
	}
}
