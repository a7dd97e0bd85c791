package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// algorithmsOf are the lines of a version's answer, as OWNER/NAME/H of a hash of
// H and their vanity URL and replicas.
func algorithmsOf(body map[string]any) map[string]any {
	lines := map[string]any{}
	for _, a := range body["algorithms"].([]any) {
		a := a.(map[string]any)
		lines[a["vanity_url"].(string)] = []any{a["algorithm"].(string)[:len("neo/hello/1")], a["replicas"], a["max_replicas"], a["env"], len(asList(a["volumes"]))}
	}
	return lines
}

// TestPatchOneAlgorithm replaces one of two algorithms, and keeps all else.
func TestPatchOneAlgorithm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	latest := satellite + "/versions/latest"
	w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[`+
		`{"algorithm":"neo/hello/`+hash1+`","vanity_url":"foo/bar","replicas":2,"max_replicas":4,"env":{"A":"1"},"volumes":[{"name":"v","type":"empty","mount_path":"/v"}]},`+
		`{"algorithm":"neo/hello/`+hash1+`","vanity_url":"foo/two","replicas":3}],`+
		`"schedules":[{"name":"nightly","cron":"0 6 * * *","vanity_url":"foo/two"}]}`).want(t, http.StatusCreated)
	first := []any{"neo/hello/2", 2.0, 4.0, map[string]any{"A": "1"}, 1}
	second := []any{"neo/hello/1", 3.0, nil, nil, 0}

	got := w.call(w.admin, "PATCH", latest+"?base=2", `{"vanity_url":"foo/bar","algorithm":"neo/hello/`+hash2+`"}`)
	body := got.want(t, http.StatusCreated)
	if diff := cmp.Diff(map[string]any{"foo/bar": first, "foo/two": second}, algorithmsOf(body)); diff != "" {
		t.Errorf("PATCH gave other algorithms (-want +got):\n%s", diff)
	}
	if body["number"] != 3.0 || body["created"] != true || len(body["schedules"].([]any)) != 1 || !strings.HasSuffix(got.Header.Get("Location"), satellite+"/versions/3") {
		t.Errorf("PATCH = %v at %s, want version 3 with its schedule", body, got.Header.Get("Location"))
	}

	// The same once more, and the whole list once more in another order, make none.
	tag := got.Header.Get("ETag")
	for _, again := range []answer{
		w.call(w.admin, "PATCH", latest, `{"vanity_url":"foo/bar","algorithm":"neo/hello/`+hash2+`"}`, "If-Match: "+tag),
		w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+hash1+`","vanity_url":"foo/two","replicas":3},`+
			`{"algorithm":"neo/hello/`+hash2+`","vanity_url":"foo/bar","replicas":2,"max_replicas":4}]}`, "If-Match: "+tag),
	} {
		if body := again.want(t, http.StatusOK); body["number"] != 3.0 || body["created"] != false || again.Header.Get("ETag") != tag {
			t.Errorf("the same again = %v, ETag %s; want version 3 and %s", body, again.Header.Get("ETag"), tag)
		}
	}

	// Settings alone, where nothing of the algorithm's name is ambiguous.
	body = w.call(w.admin, "PATCH", latest, `{"vanity_url":"foo/bar","replicas":5,"max_replicas":0,"env":{},"volumes":[]}`).want(t, http.StatusCreated)
	if diff := cmp.Diff(map[string]any{"foo/bar": []any{"neo/hello/2", 5.0, nil, nil, 0}, "foo/two": second}, algorithmsOf(body)); diff != "" {
		t.Errorf("PATCH of settings gave (-want +got):\n%s", diff)
	}

	w.call(w.admin, "PATCH", latest+"?base=3", `{"vanity_url":"foo/two","replicas":1}`).refused(t, http.StatusConflict, 1002, "", "the latest version of satellite Edge is 4, by neo, and not 3")
	w.call(w.admin, "PATCH", latest, `{"vanity_url":"foo/two","replicas":1}`, "If-Match: "+tag).refusedWith(t, http.StatusPreconditionFailed)
	for _, test := range []struct{ body, field, says string }{
		{`{}`, "algorithm", "give the algorithm"},
		{`{"algorithm":"neo/hello/` + hash1 + `"}`, "vanity_url", "version 4 of satellite Edge has neo/hello at foo/bar, foo/two; give the one"},
		{`{"algorithm":"neo/other/` + hash1 + `"}`, "algorithm", "has no algorithm neo/other; give the vanity_url"},
		{`{"algorithm":"neo/hello"}`, "algorithm", "OWNER/NAME/HASH"},
		{`{"algorithm":"neo/hello/` + strings.Repeat("3", 40) + `","vanity_url":"foo/bar"}`, "algorithm", "neo/hello has no version"},
		{`{"vanity_url":"foo/none","replicas":1}`, "vanity_url", `version 4 of satellite Edge has no vanity URL "foo/none"`},
		{`{"vanity_url":"foo/bar","replicas":1001}`, "replicas", ""},
		{`{"vanity_url":"foo/bar","min_replicas":1}`, "max_replicas", "give max_replicas too"},
	} {
		w.call(w.admin, "PATCH", latest, test.body).refused(t, http.StatusUnprocessableEntity, 6001, test.field, test.says)
	}
	if body := w.call(w.admin, "GET", satellite, "").want(t, http.StatusOK); body["latest_version"].(map[string]any)["number"] != 4.0 {
		t.Errorf("after refusals the satellite is %v, want it at version 4", body)
	}
}

// TestPatchFindsTheOnePlace: where an algorithm has one vanity URL, its name says
// enough, whatever its case.
func TestPatchFindsTheOnePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	body := w.call(w.admin, "PATCH", satellite+"/versions/latest", `{"algorithm":"Neo/Hello/`+hash2+`"}`).want(t, http.StatusCreated)
	if diff := cmp.Diff(map[string]any{"foo/bar": []any{"neo/hello/2", 2.0, nil, nil, 0}}, algorithmsOf(body)); diff != "" {
		t.Errorf("PATCH gave (-want +got):\n%s", diff)
	}
	// A key of this satellite changes it; an operator's does not.
	w.call(w.operator, "PATCH", satellite+"/versions/latest", `{"algorithm":"neo/hello/`+hash1+`"}`).refused(t, http.StatusForbidden, 2001, "", "needs the role admin")
}
