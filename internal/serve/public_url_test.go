package serve

import (
	"slices"
	"strings"
	"testing"
)

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://m.example":              "https://m.example",
		"https://m.example/":             "https://m.example",
		"https://m.example/models/":      "https://m.example/models",
		"http://m.example:8080/a/b.c_d~": "http://m.example:8080/a/b.c_d~",
		"https://[fd00::1]:443/x":        "https://[fd00::1]:443/x",
		"ftp://m.example":                "!http:// or https://",
		"m.example":                      "!http:// or https://",
		"https://u:p@m.example":          "!http:// or https://",
		"https://m.example/x?y":          "!http:// or https://",
		"https://m.example/x?":           "!http:// or https://",
		"https://m.example/x#y":          "!http:// or https://",
		"https://m.example/a//b":         "!between its slashes",
		"https://m.example/../a":         "!between its slashes",
		"https://m.example/.hidden":      "!between its slashes",
		"https://m.example/a%2Fb":        "!between its slashes",
		"https://m.example/a b":          "!between its slashes",
		`https://m.example/a"b`:          "!between its slashes",
		"https://m.example/a;b":          "!between its slashes",
		"https://m.example/users":        "!/users: this server has pages of its own there",
		"https://m.example/v2/x":         "!/v2: this server has pages of its own there",
		"https://m.example/static/":      "!/static: this server has pages of its own there",
		"https://m.example/usersandmore": "https://m.example/usersandmore",
	} {
		c := Config{publicURL: given}
		err := c.checkPublicURL()
		if refusal, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), refusal) {
				t.Errorf("--public-url %s: %v, want %q", given, err, refusal)
			}
		} else if err != nil || c.publicURL != want {
			t.Errorf("--public-url %s = %q, %v; want %q", given, c.publicURL, err, want)
		}
	}
	for host, good := range map[string]bool{"r.example": true, "r.example:5000": true, "[fd00::1]:5000": true, "https://r.example": false, "r.example/x": false, "u@r.example": false} {
		if err := (&Config{registryHost: host}).checkPublicURL(); (err == nil) != good {
			t.Errorf("--registry-host %s: %v, want good: %v", host, err, good)
		}
	}
}

func TestOwnParts(t *testing.T) {
	t.Parallel()
	got := ownParts()
	for _, part := range []string{"login", "satellites", "algorithms", "docs", "live", "find", "v1", "v2", "readyz"} {
		if !slices.Contains(got, part) {
			t.Errorf("%s is not known as this server's own", part)
		}
	}
}
