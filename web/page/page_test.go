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
	satellite := &constellation.Satellite{ID: "7", Name: hostile, Labels: constellation.Labels{hostile: hostile}, CreatedBy: hostile, ExpiresAt: now, LatestVersion: constellation.SatelliteVersion{
		Number: 2, Algorithms: []constellation.SatelliteAlgorithm{{VanityURL: hostile, Algorithm: constellation.AlgorithmRef{Owner: hostile, Name: hostile, Hash: hostile}}},
	}}
	launch := constellation.Launch{ID: "8", SatelliteID: "7", Name: hostile, Labels: constellation.Labels{hostile: hostile}, Description: hostile, CreatedBy: hostile, LastSeenAt: &now}
	algorithms := satellite.LatestVersion.Algorithms
	changed := constellation.DiffVersions(&constellation.SatelliteVersion{}, &constellation.SatelliteVersion{Algorithms: algorithms})
	key := constellation.SatelliteKey{ID: "9", Name: hostile, Prefix: hostile, CreatedBy: hostile}
	view := page.Satellite{Frame: frame, Satellite: satellite, MayEdit: true, MayLaunch: true}
	dialog := component.Dialog{Title: hostile, Close: "/"}
	draft := constellation.SatelliteDraft{ID: "1", SatelliteID: "7", Name: hostile, BaseName: "x", BaseVersion: 2,
		Algorithms: []constellation.DraftAlgorithm{{Algorithm: hostile, VanityURL: hostile, Replicas: hostile}}}
	layer := func(l templ.Component) templ.Component {
		above := view
		above.Layer = l
		return page.SatelliteLaunchesPage(page.SatelliteLaunches{Satellite: above})
	}
	pages := map[string]templ.Component{
		"login":    page.LoginPage(page.Login{Frame: frame, Username: hostile, Next: hostile, Problem: hostile}),
		"setup":    page.SetupPage(page.Setup{Frame: frame, Token: hostile, Username: hostile, Problem: hostile, Fields: map[string]string{"username": hostile}}),
		"failure":  page.FailurePage(page.Failure{Frame: frame, Title: hostile, Message: hostile, ID: hostile}),
		"list":     page.SatelliteListPage(page.SatelliteList{Frame: frame, Narrow: component.Narrow{Query: hostile, Selector: hostile}, Sort: hostile, Satellites: []constellation.Satellite{*satellite}}),
		"empty":    page.SatelliteListPage(page.SatelliteList{Frame: frame, Narrow: component.Narrow{Query: hostile, Selector: hostile}}),
		"selector": page.SatelliteListPage(page.SatelliteList{Frame: frame, Narrow: component.Narrow{Selector: hostile}, Problem: hostile}),
		"launches": page.SatelliteLaunchesPage(page.SatelliteLaunches{Satellite: view, Narrow: component.Narrow{Query: hostile, Selector: hostile}, Launches: []constellation.Launch{launch}}),
		"algos":    page.SatelliteAlgorithmsPage(page.SatelliteAlgorithms{Satellite: view, Version: 2, Lines: []page.AlgorithmLine{{SatelliteAlgorithm: algorithms[0], Digest: hostile}}}),
		"versions": page.SatelliteVersionsPage(page.SatelliteVersions{Satellite: view, Lines: []page.VersionLine{{SatelliteVersion: satellite.LatestVersion, Changed: changed}}}),
		"compare":  page.ComparisonPage(page.Comparison{Satellite: view, From: &satellite.LatestVersion, To: &satellite.LatestVersion, Difference: changed}),
		"keys":     page.SatelliteKeysPage(page.SatelliteKeys{Satellite: view, Keys: []page.KeyLine{{SatelliteKey: key}}}),
		"activity": page.SatelliteActivityPage(page.SatelliteActivity{Satellite: view, Lines: []page.ActivityLine{{Actor: hostile, Name: hostile, Changes: []page.Change{{Name: hostile, Before: hostile, After: hostile}}}}}),
		"launch":   layer(page.LaunchSheet(page.Launch{Dialog: dialog, Satellite: satellite, Launch: &launch, Commands: []component.Command{{Name: hostile, Help: hostile, Text: hostile}}})),
		"form":     layer(page.LaunchFormLayer(page.LaunchForm{Confirm: component.Confirm{Dialog: dialog, Problems: component.Problems{"name": hostile}}, Satellite: satellite, Name: hostile, Description: hostile})),
		"editor": page.SatelliteEditorPage(page.SatelliteEditor{Frame: frame, Draft: draft, Difference: changed, HasKey: true,
			Layer: page.AlgorithmLayer(page.AlgorithmForm{Dialog: dialog, Line: draft.Algorithms[0], Choices: page.Choices{Owners: []string{hostile}}})}),
		"conflict": page.SatelliteEditorPage(page.SatelliteEditor{Frame: frame, Draft: draft, Conflict: &page.EditConflict{By: hostile, Number: 3, Name: hostile, Theirs: changed,
			Both: []constellation.MergeConflict{{VanityURL: hostile, Theirs: &algorithms[0]}}}}),
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
