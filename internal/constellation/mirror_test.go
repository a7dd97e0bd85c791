package constellation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestMirrorMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns, tag string
		want          bool
	}{
		{"*", "latest", true},
		{"v*", "v1.2.0", true},
		{"v*", "xv1.2.0", false},
		{"v1", "v1.2", false},
		{"v* !*-rc*", "v1.2.0-rc.1", false},
		{"v* !*-rc* v2.0.0-rc1", "v2.0.0-rc1", true},
		{"[0-9].?", "1.2", true},
		{"[0-9].?", "11.2", false},
		{"*", "sha256-" + strings.Repeat("ab", 32) + ".sig", false},
		{"*", "sha256-" + strings.Repeat("ab", 32), false},
		{"*", "no tag", false},
	} {
		m := constellation.Mirror{Tags: strings.Fields(c.patterns)}
		if got := m.Matches(c.tag); got != c.want {
			t.Errorf("%s matches %q: %v, want %v", c.patterns, c.tag, got, c.want)
		}
	}
}

func TestNewestTags(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	var tags []constellation.MirrorTag
	for _, tag := range []string{"v1.10.0", "build-9", "v1.9.0", "latest", "v1.10.0-rc.1", "build-10"} {
		tags = append(tags, constellation.MirrorTag{Tag: tag, SeenAt: early})
	}
	tags = append(tags, constellation.MirrorTag{Tag: "a", SeenAt: late})
	var names []string
	for _, tag := range constellation.NewestTags(tags, 6) {
		names = append(names, tag.Tag)
	}
	want := []string{"build-10", "latest", "a", "v1.9.0", "v1.10.0-rc.1", "v1.10.0"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("NewestTags (-want +got):\n%s", diff)
	}
}

func TestMirroredVersion(t *testing.T) {
	t.Parallel()
	sha, digits := strings.Repeat("1a", 20), strings.Repeat("2b", 32)
	for _, c := range []struct{ tag, revision, version, hash, semantic string }{
		{"v1.2.0", sha, "9.9.9", sha, "1.2.0"},
		{"latest", sha, "1.2.0", sha, "1.2.0"},
		{"latest", "", "22.04", digits, ""},
		{digits, sha, "", digits, ""},
		{sha, strings.Repeat("3c", 20), "v1.0.0", sha, "1.0.0"},
		{"1.2", "main", "", digits, ""},
	} {
		labels := map[string]string{"org.opencontainers.image.revision": c.revision, "org.opencontainers.image.version": c.version}
		if hash, semantic := constellation.MirroredVersion(c.tag, "sha256:"+digits, labels); hash != c.hash || semantic != c.semantic {
			t.Errorf("MirroredVersion(%q, %v) = %s, %q, want %s, %q", c.tag, labels, hash, semantic, c.hash, c.semantic)
		}
	}
}

func TestCheckMirror(t *testing.T) {
	t.Parallel()
	for patterns, wrong := range map[string]bool{
		"v*": false, "v* !*-rc*": false, "[0-9]*": false, "": true, "!v*": true, "[": true, "a/b": true, "v*\n": true, strings.Repeat("v", 129): true,
		strings.Repeat("v ", 21): true,
	} {
		m := constellation.Mirror{Tags: strings.Split(patterns, " "), Keep: 10, IntervalSeconds: 900}
		if patterns == "" {
			m.Tags = nil
		}
		var v constellation.Validation
		constellation.CheckMirror(&v, &m)
		if got := v.Err() != nil; got != wrong {
			t.Errorf("CheckMirror(%q) = %v, want wrong: %v", patterns, v.Err(), wrong)
		}
	}
	for _, m := range []constellation.Mirror{{Keep: 0, IntervalSeconds: 900}, {Keep: 201, IntervalSeconds: 900}, {Keep: 1, IntervalSeconds: 59}, {Keep: 1, IntervalSeconds: 1 << 30}} {
		m.Tags = []string{"v*"}
		var v constellation.Validation
		if constellation.CheckMirror(&v, &m); v.Err() == nil {
			t.Errorf("CheckMirror(%+v) is fine, want it refused", m)
		}
	}
}
