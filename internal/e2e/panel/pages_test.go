package panel

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/constellation-serving/constellation/internal/admin"
)

//go:embed testdata/axe.min.js
var axe string

// view is a page that is looked at, as one role.
type view struct {
	name, path string
	who        string
	do         func(*visitor) // what opens a part that has no address, such as the palette
}

// views are every page of the panel, dialogs and side sheets too.
func views(w *world) []view {
	satellite, launch := "/satellites/"+w.satellite, "/satellites/"+w.satellite+"/launches/"+w.launch
	return []view{
		{name: "sign-in", path: "/login"},
		{name: "docs-signed-out", path: "/docs"},
		{name: "list", path: "/", who: "ada"},
		{name: "list-found-nothing", path: "/?q=nothing+like+it", who: "ada"},
		{name: "list-labels", path: "/?selector=region%3Deu%2Ctier%21%3Ddev", who: "ada"},
		{name: "list-labels-unreadable", path: "/?selector=region+in+eu", who: "ada"},
		{name: "list-viewer", path: "/", who: "linus"},
		{name: "launches", path: "/launches", who: "ada"},
		{name: "launches-narrowed", path: "/launches?status=degraded,stale,up&satellite=payments+europe&behind=false&expires_before=999d&selector=%21nothing", who: "linus"},
		{name: "launches-found-nothing", path: "/launches?q=nothing+like+it", who: "ada"},
		{name: "launches-unreadable", path: "/launches?satellite=no+such&selector=region+in+eu", who: "ada"},
		{name: "hostile-launches", path: "/launches?q=script", who: "ada"},
		{name: "satellite", path: satellite, who: "ada"},
		{name: "satellite-algorithms", path: satellite + "/algorithms", who: "ada"},
		{name: "satellite-versions", path: satellite + "/versions", who: "ada"},
		{name: "satellite-compare", path: satellite + "/versions/compare?from=1&to=2", who: "ada"},
		{name: "satellite-again", path: satellite + "/versions/1/again", who: "ada"},
		{name: "satellite-version-remove", path: satellite + "/versions/1/remove", who: "ada"},
		{name: "satellite-authentication", path: satellite + "/authentication", who: "ada"},
		{name: "satellite-new-key", path: satellite + "/keys/new", who: "ada"},
		{name: "satellite-activity", path: satellite + "/activity", who: "ada"},
		{name: "satellite-renew", path: satellite + "/renew", who: "ada"},
		{name: "satellite-remove", path: satellite + "/remove", who: "ada"},
		{name: "satellite-empty", path: "/satellites/" + w.emptySatellite, who: "ada"},
		{name: "satellite-viewer", path: satellite, who: "linus"},
		{name: "satellite-new", path: "/satellites/new", who: "ada"},
		{name: "satellite-edit", path: satellite + "/edit", who: "ada"},
		{name: "satellite-new-algorithm", path: "/satellites/new/algorithm", who: "ada"},
		{name: "satellite-edit-algorithm", path: satellite + "/edit/algorithm", who: "ada"},
		{name: "satellite-change-algorithm", path: satellite + "/edit/algorithm?row=0", who: "ada"},
		{name: "satellite-new-schedule", path: satellite + "/edit/schedule", who: "ada"},
		{name: "satellite-edit-schedule", path: satellite + "/edit/schedule?row=0", who: "ada"},
		{name: "launch", path: launch, who: "ada"},
		{name: "launch-dead-letters", path: launch + "/dead-letters", who: "ada"},
		{name: "launch-dead-letters-none", path: launch + "/dead-letters?q=nothing", who: "linus"},
		{name: "launch-dead-letters-retry", path: launch + "/dead-letters/decide?action=retry&id=req-1&id=req-2", who: "ada"},
		{name: "launch-dead-letters-drop", path: launch + "/dead-letters/decide?action=drop&id=req-1", who: "ada"},
		{name: "hostile-list", path: "/?q=script", who: "ada"},
		{name: "hostile-satellite", path: w.hostile, who: "ada"},
		{name: "hostile-algorithms", path: w.hostile + "/algorithms", who: "ada"},
		{name: "hostile-keys", path: w.hostile + "/authentication", who: "ada"},
		{name: "hostile-activity", path: w.hostile + "/activity", who: "ada"},
		{name: "hostile-edit", path: w.hostile + "/edit", who: "ada"},
		{name: "hostile-change-algorithm", path: w.hostile + "/edit/algorithm?row=0", who: "ada"},
		{name: "hostile-launch", path: w.hostileLaunch, who: "ada"},
		{name: "hostile-schedule", path: w.hostile + "/edit/schedule?row=0", who: "ada"},
		{name: "hostile-launch-edit", path: w.hostileLaunch + "/edit", who: "ada"},
		{name: "hostile-promote", path: w.hostileLaunch + "/promote?to=satellite", who: "ada"},
		{name: "hostile-remove", path: w.hostile + "/remove", who: "ada"},
		{name: "hostile-audit", path: "/audit?q=script", who: "ada"},
		{name: "hostile-find", path: "/find?q=script", who: "ada"},
		{name: "launch-new", path: satellite + "/launches/new", who: "grace"},
		{name: "launch-edit", path: launch + "/edit", who: "ada"},
		{name: "launch-remove", path: launch + "/remove", who: "ada"},
		{name: "launch-promote", path: launch + "/promote", who: "ada"},
		{name: "launch-rollback", path: launch + "/rollback", who: "ada"},
		{name: "algorithms", path: "/algorithms", who: "ada"},
		{name: "algorithms-found-nothing", path: "/algorithms?q=nothing", who: "ada"},
		{name: "algorithm", path: "/algorithms/fraud/score", who: "ada"},
		{name: "algorithm-version", path: "/algorithms/" + w.score, who: "ada"},
		{name: "algorithm-version-corrected", path: "/algorithms/" + w.defects, who: "ada"},
		{name: "algorithm-version-weights", path: "/algorithms/" + w.weights, who: "ada"},
		{name: "algorithm-settings", path: "/algorithms/" + w.defects + "/settings", who: "ada"},
		{name: "algorithm-settings-changed", path: "/algorithms/" + w.score + "/settings?revision=1&protocol=http&port=8080&path=/v2&concurrency=16&network=isolated&cpu=500m&memory=4Gi&response=native", who: "ada"},
		{name: "algorithm-remove", path: "/algorithms/" + w.unused + "/remove", who: "ada"},
		{name: "algorithm-remove-used", path: "/algorithms/" + w.score + "/remove", who: "ada"},
		{name: "algorithm-mirrors", path: w.mirrored, who: "ada"},
		{name: "algorithm-mirrors-viewer", path: w.mirrored, who: "linus"},
		{name: "algorithm-new-mirror", path: "/algorithms/fraud/score/mirrors/new", who: "ada"},
		{name: "algorithm-edit-mirror", path: w.mirrored + "/mirrors/" + w.elsewheres.mirror + "/edit", who: "ada"},
		{name: "algorithm-mirror-webhook", path: w.mirrored + "/mirrors/" + w.elsewheres.mirror + "/webhook", who: "ada"},
		{name: "algorithm-mirror-tags", path: w.mirrored + "/mirrors/" + w.elsewheres.mirror + "/tags", who: "ada"},
		{name: "algorithm-importing", path: "/algorithms/elsewhere/copied/" + w.elsewheres.importing, who: "ada"},
		{name: "algorithm-import-failed", path: "/algorithms/elsewhere/copied/" + w.elsewheres.failed, who: "ada"},
		{name: "registries", path: "/registries", who: "ada"},
		{name: "registries-found-nothing", path: "/registries?q=nothing+like+it", who: "ada"},
		{name: "registries-new", path: "/registries/new", who: "ada"},
		{name: "registries-edit", path: "/registries/" + w.elsewheres.registry + "/edit", who: "ada"},
		{name: "algorithm-import", path: "/algorithms/import", who: "ada"},
		{name: "algorithm-push", path: "/algorithms/push", who: "ada"},
		{name: "account", path: "/account", who: "ada"},
		{name: "account-viewer", path: "/account", who: "linus"},
		{name: "account-new-key", path: "/account/keys/new", who: "ada"},
		{name: "account-password", path: "/account/password", who: "ada"},
		{name: "account-sign-out", path: "/account/sign-out", who: "ada"},
		{name: "users", path: "/users", who: "ada"},
		{name: "users-new", path: "/users/new", who: "ada"},
		{name: "user", path: "/users/grace", who: "ada"},
		{name: "user-disable", path: "/users/grace/disable", who: "ada"},
		{name: "user-disabled", path: "/users/carol", who: "ada"},
		{name: "audit", path: "/audit", who: "ada"},
		{name: "audit-found-nothing", path: "/audit?actor=nobody", who: "ada"},
		{name: "audit-open", path: "/audit?action=satellite_version.create", who: "ada", do: func(v *visitor) {
			v.do(chromedp.Click(chromedp.CSS("summary")))
			v.until("document.querySelector('details[open]')")
		}},
		{name: "notifications", path: "/notifications", who: "ada"},
		{name: "notifications-new", path: "/notifications/destinations/new", who: "ada"},
		{name: "notification-rules", path: "/notifications/rules", who: "ada"},
		{name: "notification-rules-new", path: "/notifications/rules/new", who: "ada"},
		{name: "notification-log", path: "/notifications/log", who: "ada"},
		{name: "system", path: "/system", who: "ada"},
		{name: "system-owners", path: "/system/owners", who: "ada"},
		{name: "system-quota", path: "/system/owners/quota", who: "ada"},
		{name: "system-repositories", path: "/system/repositories", who: "ada"},
		{name: "system-retention", path: "/system/retention", who: "ada"},
		{name: "system-retention-new", path: "/system/retention/new", who: "ada"},
		{name: "system-retired", path: "/system/retention/versions", who: "ada"},
		{name: "system-backups", path: "/system/backups", who: "ada"},
		{name: "token-rules", path: "/token-rules", who: "ada"},
		{name: "token-rules-new", path: "/token-rules/new", who: "ada"},
		{name: "token-rules-try", path: "/token-rules/try", who: "ada"},
		{name: "system-free", path: "/system/free", who: "ada"},
		{name: "docs", path: "/docs", who: "ada"},
		{name: "docs-chapter", path: "/docs/deploying", who: "ada"},
		{name: "docs-api", path: "/docs/api", who: "ada"},
		{name: "find", path: "/find?q=fraud", who: "ada"},
		{name: "palette", path: "/algorithms", who: "ada", do: func(v *visitor) {
			v.control("k")
			v.until("document.querySelectorAll('#palette-found a').length > 3")
		}},
		{name: "keys", path: "/", who: "ada", do: func(v *visitor) {
			v.shortcut("?")
			v.sees("Search this page")
		}},
		{name: "not-found", path: "/nowhere", who: "ada"},
		{name: "not-allowed", path: "/users", who: "linus"},
	}
}

// TestEveryPage looks at every page in both themes, wide and narrow: no
// finding of axe, nothing beyond the right edge. With
// CONSTELLATION_SCREENSHOTS it leaves a picture of each in that folder.
func TestEveryPage(t *testing.T) {
	w := need(t)
	t.Parallel()
	for _, view := range views(w) {
		t.Run(view.name, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, view.who)
			v.open(view.path)
			if view.do != nil {
				view.do(v)
			}
			v.look(view)
		})
	}
}

// Rules of axe: all of them say whether a page is right, once; the others are
// those that another width or another theme can break.
const (
	allRules    = `{ type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }`
	widthRules  = `{ type: 'rule', values: ['color-contrast', 'link-in-text-block', 'target-size', 'scrollable-region-focusable', 'region', 'skip-link', 'nested-interactive', 'aria-hidden-focus', 'empty-heading', 'empty-table-header'] }`
	colourRules = `{ type: 'rule', values: ['color-contrast', 'link-in-text-block'] }`
)

// look inspects what is open in both themes, wide and narrow.
func (v *visitor) look(view view) {
	v.Helper()
	pictures := os.Getenv("CONSTELLATION_SCREENSHOTS")
	v.do(chromedp.Evaluate[chromedp.Void](axe + "; true"))
	for _, as := range []struct {
		width        int64
		theme, rules string
	}{{1440, "light", allRules}, {1440, "dark", colourRules}, {390, "light", widthRules}, {390, "dark", colourRules}} {
		name := fmt.Sprintf("%s-%d-%s", view.name, as.width, as.theme)
		v.do(v.size(as.width, 900), v.theme(as.theme))
		v.until(fmt.Sprintf("innerWidth === %d && matchMedia('(prefers-color-scheme: %s)').matches", as.width, as.theme))
		v.inspect(name, view.path, as.rules)
		if pictures != "" {
			v.picture(filepath.Join(pictures, name+".png"))
		}
	}
}

// finding is what axe has against a page.
type finding struct {
	ID, Impact, Help string
	Nodes            []string
}

// inspect fails for what axe finds and for what sticks out of the page.
func (v *visitor) inspect(name, path, rules string) {
	v.Helper()
	raw := js[string](v, `axe.run(document, {
		resultTypes: ['violations'], runOnly: `+rules+`,
	}).then((r) => JSON.stringify(r.violations.map((f) => ({
		id: f.id, impact: f.impact, help: f.help, nodes: f.nodes.slice(0, 4).map((n) => n.target.join(' ') + ' ' + n.failureSummary),
	}))))`)
	var findings []finding
	if err := json.Unmarshal([]byte(raw), &findings); err != nil {
		v.Fatal(err)
	}
	for _, f := range findings {
		v.Errorf("%s (%s): axe, %s: %s (%s)\n\t%s", name, path, f.Impact, f.Help, f.ID, strings.Join(f.Nodes, "\n\t"))
	}
	if wide := js[string](v, `(() => {
		const root = document.documentElement;
		if (root.scrollWidth <= innerWidth) return '';
		return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
			.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join('; ') || 'something';
	})()`); wide != "" {
		v.Errorf("%s (%s) is wider than the window: %s", name, path, wide)
	}
	if out := js[string](v, outsideItsDrawing); out != "" {
		v.Errorf("%s (%s): drawn outside its picture: %s", name, path, out)
	}
}

// outsideItsDrawing names what an SVG has beside its own box: a rule of the
// page's that happens to fit a part of a drawing moves it away.
const outsideItsDrawing = `[...document.querySelectorAll('svg *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect).filter((e) => {
	const part = e.getBoundingClientRect(), box = e.ownerSVGElement.getBoundingClientRect();
	return part.left < box.left - 2 || part.right > box.right + 2 || part.top < box.top - 2 || part.bottom > box.bottom + 2;
}).map((e) => e.outerHTML.slice(0, 100)).join('; ')`

// TestChartsAreWhereTheyBelong looks where the lines and bars of a launch's
// charts are drawn.
func TestChartsAreWhereTheyBelong(t *testing.T) {
	w := need(t)
	t.Parallel()
	v := newVisitor(t, "linus")
	v.open("/satellites/" + w.satellite + "/launches/" + w.launch)
	v.until("document.querySelectorAll('.chart svg').length === 3 && document.querySelector('.chart path[d*=l]')")
	if out := js[string](v, outsideItsDrawing); out != "" {
		t.Errorf("drawn outside its chart: %s", out)
	}
	at := js[[]float64](v, `(() => {
		const latency = [...document.querySelectorAll('.chart')].find((e) => e.textContent.includes('Latency'));
		const svg = latency.querySelector('svg').getBoundingClientRect(), path = latency.querySelector('path:not(.ground)');
		const drawn = path.getBBox(), shown = path.getBoundingClientRect();
		return [shown.left, svg.left + drawn.x / 480 * svg.width];
	})()`)
	if d := at[0] - at[1]; d < -2 || d > 2 {
		t.Errorf("the latency begins at %.0f px, where its first point is at %.0f px", at[0], at[1])
	}
}

// picture takes a picture of the whole page, or of what is above it.
func (v *visitor) picture(path string) {
	v.Helper()
	take := chromedp.FullScreenshot(100)
	if js[bool](v, "!!document.querySelector('dialog[open]')") {
		// As high as what a visitor scrolls to in it.
		was := js[[]int64](v, "[innerWidth, innerHeight]")
		v.do(v.size(was[0], js[int64](v, "Math.max(innerHeight, ...[...document.querySelectorAll('dialog[open]')].map((e) => e.scrollHeight + 64))")))
		defer func() { v.do(v.size(was[0], was[1])) }()
		take = chromedp.CaptureScreenshot()
	}
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	image, err := chromedp.Run(ctx, take)
	if err != nil {
		v.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(path, image, 0o644); err != nil {
		v.Fatal(err)
	}
}

// TestEveryRouteIsLookedAt compares the views with the panel's own table of
// routes, so that no new page goes without.
func TestEveryRouteIsLookedAt(t *testing.T) {
	t.Parallel()
	unseen := map[string]string{
		"/satellites/{satellite_id}/keys/{key_id}/revoke": "as /account/…", "/setup": "TestSetUp", "/satellites/new/schedule": "as …/edit/schedule", "/invitation": "TestInvite", "/live": "a stream, no page",
		"/audit/export.csv": "TestAudit", "/audit/export.json": "TestAudit", "/account/keys/{key_id}/revoke": "TestAPIKey",
		"/users/{username}/keys/new": "as /account/keys/new", "/users/{username}/keys/{key_id}/revoke": "as /account/…", "/users/{username}/enable": "as …/disable",
		ofMirrors + "/{mirror_id}/remove": "as /system/free", ofMirrors + "/{mirror_id}/webhook/end": "as /system/free", ofRegistry + "/remove": "as /system/free",
		"/notifications/destinations/{destination_id}/edit": "as …/new", "/notifications/destinations/{destination_id}/remove": "as /system/free",
		"/system/owners/{owner}/quota": "as /system/owners/quota", "/system/owners/{owner}/quota/remove": "as /system/free", "/system/retention/edit": "as …/new", "/system/retention/remove": "as /system/free",
		"/token-rules/{rule_id}/edit": "as …/new", "/token-rules/{rule_id}/remove": "as /system/free",
		"/notifications/rules/{rule_id}/edit": "as …/new", "/notifications/rules/{rule_id}/remove": "as /system/free",
		"/login/{provider}": "TestSingleSignOn", "/login/{provider}/callback": "TestSingleSignOn",
		"/users/{username}/password": "TestInvite", "/users/{username}/sign-out": "as /account/sign-out",
	}
	w := &world{satellite: "s", launch: "l", emptySatellite: "e", score: "fraud/score/h", defects: "vision/defects/h", unused: "fraud/features/h", weights: "research/bert/h", mirrored: "/algorithms/research/bert", elsewheres: elsewhere{"r", "m", "i", "f"}}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for _, route := range admin.Routes() {
		if route.Method != "GET" || unseen[route.Pattern] != "" {
			continue
		}
		pattern := regexp.MustCompile("^" + variable.ReplaceAllString(route.Pattern, "[^/?]+") + `(\?.*)?$`)
		seen := false
		for _, view := range views(w) {
			seen = seen || pattern.MatchString(view.path)
		}
		if !seen {
			t.Errorf("no view looks at %s: add one to views, or say where it is looked at", route.Pattern)
		}
	}
}
