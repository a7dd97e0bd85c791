package page_test

import (
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

const hostile = `"><script>alert('x')</script>`

func TestPagesEscapeAndHaveNothingInline(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	frame := component.Frame{Title: hostile, Section: "constellation", Username: hostile, Role: "admin", Now: now,
		Trail: []component.Crumb{{Name: hostile, URL: "javascript:alert(1)"}, {Name: hostile}}}
	satellite := &constellation.Satellite{ID: "7", Name: hostile, CreatedBy: hostile, ExpiresAt: now, LatestVersion: constellation.SatelliteVersion{
		Number: 2, Algorithms: []constellation.SatelliteAlgorithm{{VanityURL: hostile, Algorithm: constellation.AlgorithmRef{Owner: hostile, Name: hostile, Hash: hostile}}},
	}}
	launch := constellation.Launch{ID: "8", SatelliteID: "7", Name: hostile, Description: hostile, CreatedBy: hostile, LastSeenAt: &now}
	pages := map[string]templ.Component{
		"login":    page.LoginPage(page.Login{Frame: frame, Username: hostile, Next: hostile, Problem: hostile}),
		"setup":    page.SetupPage(page.Setup{Frame: frame, Token: hostile, Username: hostile, Problem: hostile, Fields: map[string]string{"username": hostile}}),
		"failure":  page.FailurePage(page.Failure{Frame: frame, Title: hostile, Message: hostile, ID: hostile}),
		"list":     page.SatelliteListPage(page.SatelliteList{Frame: frame, Query: hostile, Sort: hostile, Satellites: []page.SatelliteRow{{ID: "7", Name: hostile}}, Next: "/?q=" + hostile}),
		"empty":    page.SatelliteListPage(page.SatelliteList{Frame: frame, Query: hostile}),
		"launches": page.SatellitePage(page.Satellite{Frame: frame, Satellite: satellite, Tab: "launches", Query: hostile, Launches: []constellation.Launch{launch}}),
		"algos":    page.SatellitePage(page.Satellite{Frame: frame, Satellite: satellite, Tab: "algorithms"}),
		"launch":   page.LaunchPage(page.Launch{Frame: frame, Satellite: satellite, Launch: &launch, Commands: []component.Command{{Name: hostile, Help: hostile, Text: hostile}}}),
	}
	for name, c := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := c.Render(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			if own, scripts := strings.Count(text, `<script src="/static/`), strings.Count(text, "<script"); own != scripts {
				t.Errorf("the page has %d scripts that are not ours", scripts-own)
			}
			for _, bad := range []string{"<script>", " onclick=", "<style", " style=", "javascript:", " onload="} {
				if strings.Contains(text, bad) {
					t.Errorf("the page has %q", bad)
				}
			}
			if !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "<h1") {
				t.Errorf("the page does not show its model:\n%s", text)
			}
		})
	}
}
