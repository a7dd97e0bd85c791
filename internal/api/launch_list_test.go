package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestEveryLaunch lists the launches of all satellites as roles and keys may, and finds
// one that is behind by each filter.
func TestEveryLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	mine, other := w.satellite("Mine"), w.satellite("Other")
	launch := w.reporter(mine, w.launch(mine, "berlin"))
	w.launch(mine, "munich")
	w.launch(other, "paris")
	launch.counts(10, map[string]int64{"timeout": 3})
	launch.report()
	w.call(w.admin, "PATCH", mine, `{"expires_at":"`+time.Now().Add(5*24*time.Hour).UTC().Format(time.RFC3339)+`"}`).want(t, http.StatusOK)
	w.call(w.operator, "PATCH", mine+"/launches/"+launch.launchID, `{"labels":{"site":"b"}}`).want(t, http.StatusOK)
	w.call(w.admin, "POST", mine+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+hash2+`","vanity_url":"foo/bar","replicas":1}]}`).want(t, http.StatusCreated)
	before := time.Now().Add(-time.Minute)
	w.call(w.operator, "PATCH", mine+"/launches/"+launch.launchID, `{"satellite_version":2}`).want(t, http.StatusOK)
	names := func(query string) string {
		t.Helper()
		all, _ := walk(t, w, "/v1/launches"+query)
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"?limit=1": "berlin munich paris", "?sort=-name&limit=2": "paris munich berlin", "?sort=created_at&limit=1": "berlin munich paris",
		"?sort=status&limit=1": "munich paris berlin", "?sort=-status&limit=1": "berlin paris munich", "?sort=behind_since&status=up": "berlin",
		"?status=never_seen": "munich paris", "?status=up,degraded": "berlin", "?behind=true": "berlin", "?behind=false": "munich paris", "?behind_for=0m": "berlin", "?behind_for=1h": "",
		"?satellite=MINE&limit=1": "berlin munich", "?satellite=" + strings.TrimPrefix(other, "/v1/satellites/"): "paris", "?algorithm=neo/hello": "berlin munich paris", "?algorithm=neo/hello/" + hash2: "berlin",
		"?owner=NEO": "berlin munich paris", "?created_by=trinity": "berlin munich paris", "?created_by=neo": "", "?expires_before=6d": "berlin munich", "?expires_after=6d": "paris",
		"?selector=" + url.QueryEscape("site=b"): "berlin", "?selector=%21site": "munich paris", "?q=ERL": "berlin", "?name=PARIS": "paris", "?q=ER&behind=false": "",
	} {
		if got := names(query); got != want {
			t.Errorf("launches%s are %q, want %q", query, got, want)
		}
	}
	for query, want := range map[string]string{"?behind=true": "Mine", "?behind=false": "Other", "?behind_for=0m": "Mine", "?expires_before=6d": "Mine", "?expires_after=6d": "Other", "?created_by=neo": "Mine Other", "?created_by=trinity": ""} {
		if all, _ := walk(t, w, "/v1/satellites"+query+"&limit=1"); strings.Join(all, " ") != want {
			t.Errorf("satellites%s are %q, want %q", query, all, want)
		}
	}
	row := w.call(w.viewer, "GET", "/v1/launches?behind=true&expand=calls", "").want(t, http.StatusOK)["results"].([]any)[0].(map[string]any)
	since, err := time.Parse(time.RFC3339Nano, row["behind_since"].(string))
	if err != nil || since.Before(before) || since.After(time.Now().Add(time.Minute)) {
		t.Errorf("it is behind since %v, %v", row["behind_since"], err)
	}
	if row["satellite_name"] != "Mine" || row["latest_version"] != float64(2) || row["running_version"] != float64(1) || fmt.Sprint(row["calls"]) != "map[calls:10 errors:3]" {
		t.Errorf("the line of it is %v", row)
	}
	if row := w.call(w.viewer, "GET", "/v1/launches?q=munich", "").want(t, http.StatusOK)["results"].([]any)[0].(map[string]any); row["behind_since"] != nil || row["calls"] != nil {
		t.Errorf("the line of one that never reported is %v", row)
	}
	key := w.key("neo", control.NewKey{Name: "limited", SatelliteID: new(strings.TrimPrefix(other, "/v1/satellites/"))})
	for query, want := range map[string]int{"": 1, "?satellite=Mine": 0, "?satellite=none": 0, "?owner=none": 0, "?satellite=other": 1} {
		if got := len(w.call(key, "GET", "/v1/launches"+query, "").want(t, http.StatusOK)["results"].([]any)); got != want {
			t.Errorf("a key of the other satellite lists %d launches%s, want %d", got, query, want)
		}
	}
	for query, field := range map[string]string{"?satellite=none": "satellite", "?owner=none": "owner", "?status=up,": "status", "?behind_for=soon": "behind_for", "?expires_before=soon": "expires_before", "?algorithm=none/none": "algorithm"} {
		w.call(w.viewer, "GET", "/v1/launches"+query, "").refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	for _, list := range []string{"/v1/launches", "/v1/satellites"} {
		w.call(w.viewer, "GET", list+"?behind=perhaps", "").refused(t, http.StatusBadRequest, 2015, "behind", "one of")
		w.call(w.viewer, "GET", list+"?selector=a+b", "").refused(t, http.StatusBadRequest, 2015, "selector", "")
	}
	marker := w.call(w.viewer, "GET", "/v1/launches?limit=1&status=never_seen", "").want(t, http.StatusOK)["marker"].(string)
	for _, query := range []string{"", "?status=up", "?behind=false", "?status=never_seen&sort=status"} {
		address := "/v1/launches" + query
		if query == "" {
			address += "?"
		}
		w.call(w.viewer, "GET", address+"&limit=1&marker="+marker, "").refused(t, http.StatusBadRequest, apiv1.CodeBadMarker, "marker", "")
	}
}
