package constellation_test

import (
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestIsGitHash(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		strings.Repeat("0123456789", 4):   true,
		strings.Repeat("0a", 32):          true,
		strings.Repeat("a", 39):           false,
		strings.Repeat("a", 41):           false,
		strings.Repeat("a", 63):           false,
		strings.Repeat("A", 40):           false,
		"main-" + strings.Repeat("a", 40): false,
		strings.Repeat("a", 40) + "\n":    false,
		strings.Repeat("g", 40):           false,
		"":                                false,
	} {
		if got := constellation.IsGitHash(text); got != want {
			t.Errorf("IsGitHash(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestNearGitHash(t *testing.T) {
	t.Parallel()
	sha1, sha256 := strings.Repeat("0123456789", 4), strings.Repeat("0a", 32)
	for tag, want := range map[string]struct {
		meant string
		near  bool
	}{
		sha1:                               {},
		sha256:                             {},
		"latest":                           {},
		"v1.2.0":                           {},
		"sha-0123456":                      {}, // a short hash names no version, and nobody expects it to
		"20261128":                         {},
		sha1 + "-amd64":                    {}, // a platform's part of an index
		"sha256-" + sha256:                 {}, // the OCI fallback tag of referrers
		"sha256-" + sha256 + ".sig":        {}, // cosign
		"sha-" + sha1:                      {sha1, true},
		"main-" + sha1:                     {sha1, true},
		"main_" + sha256:                   {sha256, true},
		"release-1.2." + sha1:              {sha1, true},
		strings.ToUpper("abcd" + sha1[4:]): {"abcd" + sha1[4:], true},
		sha1[1:]:                           {"", true},
		sha1 + "0":                         {"", true},
		sha256[1:]:                         {"", true},
		"sha-" + sha1[1:]:                  {"", true},
	} {
		if meant, near := constellation.NearGitHash(tag); meant != want.meant || near != want.near {
			t.Errorf("NearGitHash(%q) = %q, %v, want %q, %v", tag, meant, near, want.meant, want.near)
		}
	}
}
