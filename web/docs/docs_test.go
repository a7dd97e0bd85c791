package docs

import (
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var values = Values{URL: "https://mothership.example.com:8443", Host: "mothership.example.com:8443", FQDN: "mothership.example.com:8443", Version: "1.2.3"}

// pages are the links of the guide that are no chapters.
var pages = []string{"/", "/launches", "/algorithms/import", "/account", "/users", "/system", "/system/owners", "/system/repositories", "/system/retention", "/system/backups", "/token-rules", "/registries", "/algorithms", "/docs/api"}

func TestGuideIsWhole(t *testing.T) {
	t.Parallel()
	g := New(values)
	for _, slug := range []string{
		"concepts", "first-satellite", "deploying", "aks", "eks", "gke", "openshift", "k3s", "air-gapped",
		"algorithm-contract", "troubleshooting", "calling-algorithms", "changelog",
	} {
		c, _ := g.Chapter(slug)
		if c == nil {
			t.Errorf("the guide has no chapter %q", slug)
			continue
		}
		if c.Title == "" || c.Summary == "" || len(c.Sections) < 2 {
			t.Errorf("the chapter %q = title %q, summary %q, %d sections", slug, c.Title, c.Summary, len(c.Sections))
		}
		if strings.Contains(c.HTML, "{{") || strings.Contains(c.HTML, "style=") || strings.Contains(c.HTML, "<script") {
			t.Errorf("the chapter %q has something left to fill in, or something inline:\n%s", slug, c.HTML)
		}
	}
	c, _ := g.Chapter("air-gapped")
	if want := "get - --mothership " + values.URL; !strings.Contains(c.HTML, want) {
		t.Errorf("the chapter does not have the mothership's address: %q", want)
	}
	for _, want := range []string{"by another way than the launch", `href="/system"`, "mothership signing-key", "GET /v1/system", "--trust KEY_ID"} {
		if !strings.Contains(c.HTML, want) {
			t.Errorf("the chapter does not say how the key's ID travels: it lacks %q", want)
		}
	}
}

// The newest entry of the changelog is of this source.
func TestChangelogHasThisVersion(t *testing.T) {
	t.Parallel()
	c, _ := New(values).Chapter("changelog")
	if c == nil || c.Sections[0].Title != constellation.Version {
		t.Errorf("the changelog begins with %+v, want %s", c, constellation.Version)
	}
}

func TestGuideLinksLead(t *testing.T) {
	t.Parallel()
	g := New(values)
	link := regexp.MustCompile(`href="([^"]*)"`)
	for _, c := range g.Chapters {
		for _, m := range link.FindAllStringSubmatch(c.HTML, -1) {
			slug, isChapter := strings.CutPrefix(m[1], "/docs/")
			found, _ := g.Chapter(slug)
			known := isChapter && found != nil
			for _, page := range pages {
				known = known || m[1] == page
			}
			if !known {
				t.Errorf("%s links to %q, which is no page of ours", c.Slug, m[1])
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{"guide/concepts.md": "# No number", "guide/01-x.md": "No heading"} {
		if _, err := render(fstest.MapFS{name: {Data: []byte(source)}}, values); err == nil {
			t.Errorf("render(%s: %q) = nil, want an error", name, source)
		}
	}
	g, err := render(fstest.MapFS{"guide/01-x.md": {Data: []byte("# T\n\n<script>x</script>\n\n```\n<b>\n```\n")}}, values)
	if err != nil || strings.Contains(g.Chapters[0].HTML, "<script") || !strings.Contains(g.Chapters[0].HTML, "&lt;b&gt;") {
		t.Errorf("markup in a chapter = %+v, %v", g, err)
	}
}
