package constellation_test

import (
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestParseKeyScope(t *testing.T) {
	for text, want := range map[string]constellation.KeyScope{
		"push:neo/*":                             "push:neo/*",
		" push:Trinity/Hello\n push:neo/* ":      "push:neo/* push:trinity/hello",
		"push:neo/* push:NEO/*":                  "push:neo/*",
		"push:neo/a.b-c_d":                       "push:neo/a.b-c_d",
		"push:" + strings.Repeat("n", 63) + "/*": constellation.KeyScope("push:" + strings.Repeat("n", 63) + "/*"),
	} {
		var v constellation.Validation
		if got := constellation.ParseKeyScope(&v, "scope", text); got != want || v.Err() != nil {
			t.Errorf("ParseKeyScope(%q) = %q, %v, want %q", text, got, v.Err(), want)
		}
	}
	for _, text := range []string{
		"", " ", "push", "push:", "push:neo", "push:neo/", "push:/hello", "push:*/*", "push:neo/**", "push:neo/h*", "push:neo/hello/world", "pull:neo/*", "neo/*",
		"push:satellites/*", "push:constellation/system", "push:neo/*,push:trinity/*", "push:neo/he llo", "push:né/*", "push:neo/..", "push:neo/* x",
		"push:" + strings.Repeat("n", 64) + "/*", strings.Repeat("push:neo/* ", constellation.MaxKeyScopes+1),
	} {
		var v constellation.Validation
		if got := constellation.ParseKeyScope(&v, "scope", text); got != "" || v.Err() == nil {
			t.Errorf("ParseKeyScope(%q) = %q, want it refused", text, got)
		}
	}
}

func TestKeyScopePushes(t *testing.T) {
	const scope = constellation.KeyScope("push:neo/* push:trinity/hello")
	for repository, want := range map[string]bool{
		"neo/hello": true, "Neo/Other": true, "trinity/hello": true, "trinity/Hello": true,
		"trinity/hello2": false, "trinity/*": false, "trinity": false, "neo": false, "neon/hello": false, "": false, "constellation/system": false, "satellites/neo": false,
		"xneo/hello": false, "trinity/hello push:x/y": false,
	} {
		if got := scope.Pushes(repository); got != want {
			t.Errorf("Pushes(%q) = %v, want %v", repository, got, want)
		}
	}
	if constellation.KeyScope("").Pushes("neo/hello") {
		t.Error("no scope pushes")
	}
	if got, want := constellation.KeyScope("push:a/b push:c/* push:d/e").Repositories(), "a/b, c/* and d/e"; got != want {
		t.Errorf("Repositories() = %q, want %q", got, want)
	}
}
