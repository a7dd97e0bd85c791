package preflight

import (
	"strings"
	"testing"
)

// Nodes are the cluster's, not a test's, so this asks the check itself.
func TestPreflightOfPlatforms(t *testing.T) {
	t.Parallel()
	amd := map[string]bool{"linux/amd64": true}
	for _, test := range []struct {
		name   string
		images []string
		nodes  map[string]bool
		want   string
	}{
		{"same", []string{"linux/amd64"}, amd, ""},
		{"one of several", []string{"linux/arm64", "linux/amd64"}, amd, ""},
		{"a variant", []string{"linux/arm64/v8"}, map[string]bool{"linux/arm64": true}, ""},
		{"not said", nil, amd, ""},
		{"another", []string{"linux/arm64"}, amd, "the image of foo/bar is for linux/arm64 and the nodes are linux/amd64"},
	} {
		p := &preflight{}
		p.platform("foo/bar", test.images, test.nodes)
		var got []string
		for _, c := range p.checks {
			got = append(got, c.Message)
		}
		if strings.Join(got, "\n") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
