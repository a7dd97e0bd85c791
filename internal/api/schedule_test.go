package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// TestSchedulesAndScaling: a version has them as they were given, with what was
// left out filled in; a client that does not know of schedules keeps them.
func TestSchedulesAndScaling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	algorithm := func(more string) string {
		return fmt.Sprintf(`{"algorithm":"neo/hello/%s","vanity_url":"foo/bar","replicas":1%s}`, hash1, more)
	}
	body := `{"name":"Nightly","algorithms":[` + algorithm(`,"min_replicas":0,"max_replicas":10`) + `],"schedules":[` +
		`{"name":"night","cron":"0 6 * * 1-5","time_zone":"Europe/Berlin","vanity_url":"foo/bar","input":"{\"a\":1}","missed":"once"},` +
		`{"name":"hour","cron":"@hourly","vanity_url":"foo/bar"}]}`
	made := w.call(w.admin, "POST", "/v1/satellites", body)
	satellite := "/v1/satellites/" + made.want(t, http.StatusCreated)["id"].(string)
	want := apiv1.SatelliteVersion{
		Algorithms: []apiv1.SatelliteAlgorithm{{Algorithm: "neo/hello/" + hash1, VanityURL: "foo/bar", Replicas: 1, MinReplicas: new(0), MaxReplicas: 10, RuntimeRevision: 1}},
		Schedules: []apiv1.Schedule{
			{Name: "night", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: "foo/bar", Input: `{"a":1}`, ContentType: "application/json", Missed: "once"},
			{Name: "hour", Cron: "@hourly", TimeZone: "UTC", VanityURL: "foo/bar", Input: "null", ContentType: "application/json", Missed: "skip"},
		},
	}
	version := func(path string) apiv1.SatelliteVersion {
		got := w.call(w.viewer, "GET", path, "")
		got.want(t, http.StatusOK)
		var v apiv1.SatelliteVersion
		if err := json.Unmarshal(got.body, &v); err != nil {
			t.Fatal(err)
		}
		return apiv1.SatelliteVersion{Algorithms: v.Algorithms, Schedules: v.Schedules}
	}
	if diff := cmp.Diff(want, version(satellite+"/versions/1")); diff != "" {
		t.Errorf("version 1 (-want +got):\n%s", diff)
	}
	w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[`+algorithm("")+`]}`).want(t, http.StatusCreated)
	want.Algorithms[0].MinReplicas, want.Algorithms[0].MaxReplicas = nil, 0
	if diff := cmp.Diff(want, version(satellite+"/versions/2")); diff != "" {
		t.Errorf("version 2, of a client that knows no schedules (-want +got):\n%s", diff)
	}
	w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[`+algorithm("")+`],"schedules":[]}`).want(t, http.StatusCreated)
	if got := version(satellite + "/versions/3"); len(got.Schedules) != 0 {
		t.Errorf("version 3 has the schedules %v, want none", got.Schedules)
	}
	diff := w.call(w.viewer, "GET", satellite+"/versions/3/diff?from=1", "").want(t, http.StatusOK)
	if removed := diff["schedules"].(map[string]any)["removed"].([]any); len(removed) != 2 || len(diff["changed"].([]any)) != 1 {
		t.Errorf("diff = %v, want two schedules removed and an algorithm changed", diff)
	}
	for _, path := range []string{satellite + "/versions", "/v1/satellites"} {
		if got := w.call(w.viewer, "GET", path, ""); strings.Contains(string(got.body), "schedules") {
			t.Errorf("GET %s has schedules, want them with expand alone: %s", path, got.body)
		}
		if got := w.call(w.viewer, "GET", path+"?expand=algorithms", ""); !strings.Contains(string(got.body), "schedules") {
			t.Errorf("GET %s?expand=algorithms has no schedules: %s", path, got.body)
		}
	}
}

// TestBadSchedulesAndScales: each is refused at its field.
func TestBadSchedulesAndScales(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	for _, test := range []struct{ algorithm, schedule, field, words string }{
		{`"replicas":3,"min_replicas":4,"max_replicas":2`, "", "algorithms[0].min_replicas", "above max_replicas"},
		{`"replicas":1,"min_replicas":1`, "", "algorithms[0].max_replicas", "give max_replicas"},
		{`"replicas":1,"max_replicas":-1`, "", "algorithms[0].max_replicas", "1 to 1000"},
		{`"replicas":1,"max_replicas":1.5`, "", "algorithms[0].max_replicas", "whole number"},
		{`"replicas":1`, `{"name":"a","cron":"99 * * * *","vanity_url":"foo/bar"}`, "schedules[0].cron", "minute"},
		{`"replicas":1`, `{"name":"a","cron":"0 0 31 2 *","vanity_url":"foo/bar"}`, "schedules[0].cron", "never runs"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","time_zone":"Mars/Phobos","vanity_url":"foo/bar"}`, "schedules[0].time_zone", "no time zone"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/other"}`, "schedules[0].vanity_url", "no algorithm at"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/bar","input":"{"}`, "schedules[0].input", "no JSON"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/bar","missed":"all"}`, "schedules[0].missed", "once"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/bar","content_type":"text/html"}`, "schedules[0].content_type", "text/plain"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/bar","zone":"UTC"}`, "schedules[0].zone", "time_zone"},
		{`"replicas":1`, `{"name":"a","cron":"@daily","vanity_url":"foo/bar"},{"name":"A","cron":"@daily","vanity_url":"foo/bar"}`, "schedules[1].name", "already"},
	} {
		body := fmt.Sprintf(`{"algorithms":[{"algorithm":"neo/hello/%s","vanity_url":"foo/bar",%s}],"schedules":[%s]}`, hash1, test.algorithm, test.schedule)
		w.call(w.admin, "POST", satellite+"/versions", body).refused(t, http.StatusUnprocessableEntity, 6001, test.field, test.words)
	}
}

// TestNoScheduleOfHTTP2: what speaks HTTP/2 alone takes no call without a caller, so
// no version has a schedule of it, by whatever way both come together. A revision of
// the settings that does not say so has one.
func TestNoScheduleOfHTTP2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	w.call(w.admin, "PATCH", "/v1/algorithms/neo/hello/versions/"+hash1, `{"runtime":{"protocol":"http","http2":true}}`).want(t, http.StatusOK)
	algorithms := func(more string) string {
		return fmt.Sprintf(`"algorithms":[{"algorithm":"neo/hello/%s","vanity_url":"foo/bar","replicas":1%s}]`, hash1, more)
	}
	const (
		schedules = `,"schedules":[{"name":"night","cron":"@daily","vanity_url":"foo/bar"}]`
		field     = "schedules[0].vanity_url"
		words     = `the schedule "night" calls foo/bar, which speaks HTTP/2 alone`
	)
	refused := func(method, path, body string) {
		t.Helper()
		w.call(w.admin, method, path, body).refused(t, http.StatusUnprocessableEntity, 6001, field, words)
	}
	refused("POST", "/v1/satellites", `{"name":"new",`+algorithms("")+schedules+`}`)
	refused("POST", satellite+"/versions", `{`+algorithms("")+schedules+`}`)
	refused("POST", satellite+"/versions", `{`+algorithms(`,"runtime_revision":2`)+schedules+`}`)
	w.call(w.admin, "POST", satellite+"/versions", `{`+algorithms(`,"runtime_revision":1`)+schedules+`}`).want(t, http.StatusCreated)
	refused("POST", satellite+"/versions", `{`+algorithms("")+`}`) // with the schedules of the version before
	w.call(w.admin, "POST", satellite+"/versions", `{`+algorithms("")+`,"schedules":[]}`).want(t, http.StatusCreated)
}

// TestKeysHaveACallback: it is told with the key, and one that nothing can be
// posted to is refused.
func TestKeysHaveACallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	made := w.call(w.admin, "POST", satellite+"/keys", `{"name":"billing","callback_url":"https://host.example/results"}`).want(t, http.StatusCreated)
	if made["callback_url"] != "https://host.example/results" {
		t.Errorf("POST keys = %v, want the callback", made)
	}
	w.call(w.admin, "POST", satellite+"/keys", `{"name":"none"}`).want(t, http.StatusCreated)
	list := w.call(w.viewer, "GET", satellite+"/keys?sort=name", "").want(t, http.StatusOK)["results"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["callback_url"] != "https://host.example/results" || list[1].(map[string]any)["callback_url"] != "" {
		t.Errorf("GET keys = %v, want one with a callback and one without", list)
	}
	for _, bad := range []string{"host.example", "ftp://host.example", "https://user:word@host.example", "https://host.example/#x", "https://host.example/" + strings.Repeat("x", 2048)} {
		w.call(w.admin, "POST", satellite+"/keys", `{"name":"bad","callback_url":"`+bad+`"}`).refused(t, http.StatusUnprocessableEntity, 6001, "callback_url", "")
	}
}
