package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// labelled returns the labels of an answer.
func labelled(body map[string]any) string {
	return strings.TrimPrefix(fmt.Sprint(body["labels"]), "map")
}

// TestLabels sets labels by each method, and looks at what each leaves.
func TestLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(w.admin, "POST", "/v1/satellites", `{"name":"Edge","algorithms":[],"labels":{"region":"eu","example.com/tier":"prod"}}`).want(t, http.StatusCreated)
	satellite := "/v1/satellites/" + made["id"].(string)
	const both = "[example.com/tier:prod region:eu]"
	launch := satellite + "/launches/" + w.call(w.operator, "POST", satellite+"/launches", `{"name":"berlin","labels":{"site":"berlin"}}`).want(t, http.StatusCreated)["id"].(string)
	for _, step := range []struct{ key, method, path, body, want string }{
		{w.viewer, "GET", satellite, "", both},
		{w.admin, "PATCH", satellite, `{"name":"Edge 2"}`, both},
		{w.admin, "PUT", "/v1/satellites?name=Edge+2", `{"algorithms":[]}`, both},
		{w.admin, "PUT", "/v1/satellites?name=Edge+2", `{"algorithms":[],"labels":{"a":""}}`, "[a:]"},
		{w.admin, "PATCH", satellite, `{"labels":{"region":"us"}}`, "[region:us]"},
		{w.admin, "PATCH", satellite, `{"labels":{}}`, "[]"},
		{w.viewer, "GET", launch, "", "[site:berlin]"},
		{w.operator, "PATCH", launch, `{"description":"x"}`, "[site:berlin]"},
		{w.operator, "PUT", satellite + "/launches?name=berlin", `{}`, "[site:berlin]"},
		{w.operator, "PATCH", launch, `{"labels":{"site":"b2"}}`, "[site:b2]"},
		{w.operator, "PUT", satellite + "/launches?name=berlin", `{"labels":{}}`, "[]"},
	} {
		if got := labelled(w.call(step.key, step.method, step.path, step.body).want(t, http.StatusOK)); got != step.want {
			t.Errorf("%s %s %s: labels %s, want %s", step.method, step.path, step.body, got, step.want)
		}
	}
	if n := w.call(w.viewer, "GET", satellite, "").want(t, http.StatusOK)["latest_version"].(map[string]any)["number"]; n != float64(1) {
		t.Errorf("labels made version %v", n)
	}
	if revision := w.call(w.viewer, "GET", satellite, "").Header.Get("ETag"); revision != `"5"` { // made, renamed, and labelled three times
		t.Errorf("the satellite's ETag is %s", revision)
	}
	w.call(w.admin, "PATCH", satellite, `{"labels":{}}`, `If-Match: "5"`).want(t, http.StatusOK)
	if again := w.call(w.viewer, "GET", satellite, "").Header.Get("ETag"); again != `"5"` {
		t.Errorf("the same labels again are a change: %s", again)
	}
	var audited []string
	for _, event := range w.call(w.admin, "GET", "/v1/events?action=satellite.update&expand=changes&sort=at", "").want(t, http.StatusOK)["results"].([]any) {
		e := event.(map[string]any)
		before, after := e["before"].(map[string]any), e["after"].(map[string]any)
		audited = append(audited, fmt.Sprint(before["labels"], " ", after["labels"]))
	}
	if diff := cmp.Diff([]string{
		"map[example.com/tier:prod region:eu] map[example.com/tier:prod region:eu]", "map[example.com/tier:prod region:eu] map[a:]", "map[a:] map[region:us]", "map[region:us] <nil>",
	}, audited); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	for _, labels := range []string{`{"a":"` + strings.Repeat("x", 300) + `"}`, `{"a b":"c"}`, `{"a":"<script>"}`, `{"a":"b c"}`, `{"":"x"}`} {
		for path, body := range map[string]string{satellite: `{"labels":` + labels + `}`, launch: `{"labels":` + labels + `}`} {
			w.call(w.admin, "PATCH", path, body).refused(t, http.StatusUnprocessableEntity, 6001, "labels", "label")
		}
	}
	w.call(w.admin, "PATCH", satellite, `{"labels":{"a":1}}`).refused(t, http.StatusUnprocessableEntity, 6001, "labels.a", "is text")
}

// TestSelectors finds satellites and launches by labels.
func TestSelectors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var last string
	for name, labels := range map[string]string{"a": `{"region":"eu","tier":"prod"}`, "b": `{"region":"eu","tier":"dev"}`, "c": `{"region":"us"}`, "d": `{}`} {
		made := w.call(w.admin, "POST", "/v1/satellites", `{"name":"`+name+`","algorithms":[],"labels":`+labels+`}`).want(t, http.StatusCreated)
		if name == "d" {
			last = "/v1/satellites/" + made["id"].(string)
		}
	}
	for name, labels := range map[string]string{"x": `{"site":"b"}`, "y": `{"site":"p","big":""}`, "z": `{}`} {
		w.call(w.operator, "POST", last+"/launches", `{"name":"`+name+`","labels":`+labels+`}`).want(t, http.StatusCreated)
	}
	names := func(address string) string {
		t.Helper()
		all, _ := walk(t, w, address)
		return strings.Join(all, "")
	}
	for selector, want := range map[string]string{
		"region=eu": "ab", "region==us": "c", "region!=eu": "cd", "region in (eu,us)": "abc", "region notin (us)": "abd", "region": "abc", "!region": "d",
		"region=eu,tier!=dev": "a", "region=EU": "", "tier,!region": "",
	} {
		for _, page := range []string{"&limit=2", "&sort=-created_at&limit=1"} {
			got := names("/v1/satellites?sort=name&selector=" + url.QueryEscape(selector) + page)
			if strings.Contains(page, "created") {
				got = names("/v1/satellites?selector=" + url.QueryEscape(selector) + page)
				for _, letter := range want {
					if strings.Count(got, string(letter)) != 1 || len(got) != len(want) {
						t.Errorf("by time %q finds %q, want %q", selector, got, want)
					}
				}
				continue
			}
			if got != want {
				t.Errorf("%q%s finds satellites %q, want %q", selector, page, got, want)
			}
		}
	}
	for selector, want := range map[string]string{"site=b": "x", "site": "xy", "!site": "z", "big=": "y", "big,site=p": "y"} {
		if got := names(last + "/launches?limit=1&selector=" + url.QueryEscape(selector)); got != want {
			t.Errorf("%q finds launches %q, want %q", selector, got, want)
		}
	}
	if got := names("/v1/satellites?q=b&selector=region"); got != "b" {
		t.Errorf("with a search it finds %q", got)
	}
	for _, path := range []string{"/v1/satellites", last + "/launches"} {
		for selector, want := range map[string]string{"region in eu": "character 11", "region=eu,": "at its end", "a=<script>": "character 3", strings.Repeat("a", 1001): "", "a b": "character 3"} {
			w.call(w.viewer, "GET", path+"?selector="+url.QueryEscape(selector), "").refused(t, http.StatusBadRequest, 2015, "selector", want)
		}
	}
	marker := w.call(w.viewer, "GET", "/v1/satellites?limit=1&selector=region", "").want(t, http.StatusOK)["marker"].(string)
	w.call(w.viewer, "GET", "/v1/satellites?limit=1&selector=tier&marker="+marker, "").refused(t, http.StatusBadRequest, apiv1.CodeBadMarker, "marker", "is not one of this list")
}
