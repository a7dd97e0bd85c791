package constellation

import (
	"strings"
	"testing"
)

func TestParseImageName(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	for text, want := range map[string]string{
		"ubuntu":                                      "docker.io/library/ubuntu:latest",
		"team/model:1.2":                              "docker.io/team/model:1.2",
		"index.docker.io/library/ubuntu:24.04":        "docker.io/library/ubuntu:24.04",
		"registry-1.docker.io/ubuntu":                 "docker.io/library/ubuntu:latest",
		" Registry.Example.COM:5000/team/model:v1 ":   "registry.example.com:5000/team/model:v1",
		"registry.example.com:443/team/model":         "registry.example.com/team/model:latest",
		"localhost/a:b":                               "localhost/a:b",
		"127.0.0.1:5000/a/b@" + digest:                "127.0.0.1:5000/a/b@" + digest,
		"[2001:DB8:0::1]:5000/a:b":                    "[2001:db8::1]:5000/a:b",
		"[::1]/a":                                     "[::1]/a:latest",
		"ghcr.io/a/b/c/d:tag@" + digest:               "ghcr.io/a/b/c/d:tag@" + digest,
		"registry.example.com/a__b/c---d.e:" + "T_1.": "registry.example.com/a__b/c---d.e:T_1.",
	} {
		got, err := ParseImageName(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseImageName(%q) = %v, %v, want %s", text, got, err, want)
		}
		if again, err := ParseImageName(got.String()); err != nil || again != got {
			t.Errorf("ParseImageName(%q) = %v, %v, want the same again", got, again, err)
		}
	}
	for _, text := range []string{
		"", " ", "https://registry.example.com/a:b", "docker://a", "registry.example.com/", "registry.example.com/Team/model:1", "a:b:c", "a@sha256:12", "a@" + digest + "0",
		"registry.example.com:0/a", "registry.example.com:70000/a", "registry.example.com:x/a", "[::1/a", "[fe80::1%25eth0]/a", "-bad.example.com/a", "a b", "a/../b", "a//b", "a/b:" + strings.Repeat("x", 129),
		"user:secret@registry.example.com/a:b", strings.Repeat("a", 600), "a\x00b", "registry.example.com/a:",
	} {
		got, err := ParseImageName(text)
		if KindOf(err) != KindInvalid {
			t.Errorf("ParseImageName(%q) = %v, %v, want a refusal", text, got, err)
		}
		if err != nil && strings.ContainsRune(err.Error(), 0) {
			t.Errorf("the refusal of %q has a control character", text)
		}
	}
}

func TestParseRepositoryName(t *testing.T) {
	if got, err := ParseRepositoryName("registry.example.com/team/model"); err != nil || got.String() != "registry.example.com/team/model" {
		t.Errorf("ParseRepositoryName = %v, %v", got, err)
	}
	if _, err := ParseRepositoryName("registry.example.com/team/model:1"); KindOf(err) != KindInvalid {
		t.Errorf("a repository with a tag: %v, want a refusal", err)
	}
}
