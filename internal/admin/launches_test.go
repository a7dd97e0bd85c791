package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestLaunchesWithoutScript narrows the launches of all satellites as the form does
// that has no script, and leaves parts of it out again.
func TestLaunchesWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	morpheus := w.visitor("morpheus", constellation.RoleViewer)
	wantIn(t, w.page("/launches", morpheus, http.StatusOK), "No launches yet", `href="/launches" aria-current="true"`)
	edge, other := w.satellite("Edge"), w.satellite("Other & <Sons>")
	for satellite, names := range map[string][]string{edge.ID: {"Line 1", "Line 2"}, other.ID: {"<script>alert(1)</script>"}} {
		for _, name := range names {
			if _, err := w.control.CreateLaunch(t.Context(), control.Shell(), satellite, control.NewLaunch{SatelliteVersion: 1, Name: name, Labels: constellation.Labels{"site": "berlin"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	shown := func(query string, status int) (string, string) {
		t.Helper()
		body := w.page("/launches"+query, morpheus, status)
		var rows []string
		for _, name := range []string{"Line 1", "Line 2", "script"} {
			if strings.Contains(body[strings.Index(body, `id="results"`):], name) {
				rows = append(rows, name)
			}
		}
		return body, strings.Join(rows, ", ")
	}
	const all = "Line 1, Line 2, script"
	for query, want := range map[string]string{
		"": all, "?q=&satellite=&algorithm=&owner=&created_by=&behind=&expires_before=&sort=status": all,
		"?status=never_seen&status=up": all, "?status=never_seen%2Cup": all, "?status=up": "", "?q=line": "Line 1, Line 2", "?satellite=edge": "Line 1, Line 2", "?satellite=" + other.ID: "script",
		"?algorithm=neo%2Fhello": all, "?owner=neo": all, "?behind=true": "", "?behind=false": all, "?behind=7d": "", "?expires_before=0d": "", "?expires_before=900d": all, "?selector=site%3Dberlin": all, "?selector=%21site": "",
		"?created_by=nobody": "",
	} {
		body, got := shown(query, http.StatusOK)
		if got != want {
			t.Errorf("%s shows %q, want %q", query, got, want)
		}
		if want == "" {
			wantIn(t, body, "No launch matches", "show all launches")
		}
	}
	if answer := w.send("GET", "/launches?q=&selector=&satellite=&behind=true&sort=name&status=up", nil, morpheus); answer.Header.Get("Location") != "/launches?behind=true&sort=name&status=up" {
		t.Errorf("a form that is mostly empty leads to %d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	body, _ := shown("", http.StatusOK)
	wantIn(t, body, "site=berlin", `href="/satellites/`+edge.ID+`"`, "1 wanted", "Never seen", "Other & <Sons>", "1–3 of 3")
	if raw := w.raw("/launches", morpheus); strings.Contains(raw, "<script>alert") || !strings.Contains(raw, "&lt;script&gt;alert(1)") {
		t.Error("a name is no text")
	}
	if strings.Contains(body, "Narrowed to") || strings.Contains(body, `<details class="more" open`) {
		t.Error("the whole list says that it is narrowed")
	}
	body, _ = shown("?"+url.Values{"q": {"line"}, "status": {"stale", "never_seen"}, "behind": {"3w"}, "sort": {"-name"}}.Encode(), http.StatusOK)
	wantIn(t, body, `Status: <bdi>Stale, Never seen</bdi>`, `href="/launches?behind=3w&q=line&sort=-name"`, `href="/launches?behind=3w&sort=-name&status=stale%2Cnever_seen"`, `href="/launches">Show all</a>`,
		`<option value="3w" selected>3w</option>`, `value="stale" checked`, `value="never_seen" checked`, `<details class="more" open`)
	for query, want := range map[string]string{
		"?satellite=none": `There is no satellite "none"`, "?selector=a+b": "character 3", "?behind=often": "is how long, such as", "?expires_before=soon": "is a date such as",
		"?status=well": "is one or more of", "?owner=nobody": "There is no owner", "?sort=colour": "is one of behind_since", "?marker=x": "is not one of this list",
	} {
		body, _ := shown(query, http.StatusBadRequest)
		wantIn(t, body, want)
	}
	wantIn(t, w.page("/find?q=launches", morpheus, http.StatusOK), `href="/launches"`)
}
