package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCorrectRuntime corrects the settings of a version: satellites' versions
// that are there keep theirs, the next one has the new ones, and the difference
// is seen.
func TestCorrectRuntime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const version = "/v1/algorithms/neo/hello/versions/" + hash1
	satellite := w.satellite("corrected")
	first := w.call(w.admin, "GET", version, "").want(t, http.StatusOK)
	if first["runtime_revision"] != 1.0 {
		t.Fatalf("the version has the runtime revision %v, want 1", first["runtime_revision"])
	}
	corrected := w.call(w.admin, "PATCH", version, `{"runtime":{"concurrency":7,"memory":"2Gi"}}`, `If-Match: "1"`)
	if got := corrected.want(t, http.StatusOK); got["runtime_revision"] != 2.0 || corrected.Header.Get("ETag") != `"2"` ||
		got["runtime"].(map[string]any)["concurrency"] != 7.0 || got["runtime"].(map[string]any)["port"] != 9999.0 {
		t.Errorf("corrected: %s", corrected.body)
	}
	w.call(w.admin, "PATCH", version, `{"runtime":{"concurrency":8}}`, `If-Match: "1"`).refusedWith(t, http.StatusPreconditionFailed)
	w.call(w.admin, "PATCH", version, `{"runtime":{"concurrency":0,"cpu":"lots"}}`).refusedWith(t, http.StatusUnprocessableEntity)
	algorithms := `{"algorithms":[{"algorithm":"neo/hello/` + hash1 + `","vanity_url":"foo/bar","replicas":1}]}`
	w.call(w.admin, "POST", satellite+"/versions", algorithms).want(t, http.StatusCreated)
	var revisions []any
	for _, number := range []string{"1", "2"} {
		got := w.call(w.admin, "GET", satellite+"/versions/"+number, "").want(t, http.StatusOK)
		revisions = append(revisions, got["algorithms"].([]any)[0].(map[string]any)["runtime_revision"])
	}
	if diff := cmp.Diff([]any{1.0, 2.0}, revisions); diff != "" {
		t.Errorf("runtime revisions of the satellite's versions (-want +got):\n%s", diff)
	}
	changed := w.call(w.admin, "GET", satellite+"/versions/2/diff?from=1", "").want(t, http.StatusOK)["changed"].([]any)
	if len(changed) == 0 {
		t.Error("the difference says nothing of the corrected settings")
	}
	pinned := `{"algorithms":[{"algorithm":"neo/hello/` + hash1 + `","vanity_url":"foo/bar","replicas":1,"runtime_revision":1}]}`
	if got := w.call(w.admin, "POST", satellite+"/versions", pinned).want(t, http.StatusCreated); got["algorithms"].([]any)[0].(map[string]any)["runtime_revision"] != 1.0 {
		t.Errorf("a version that asks for revision 1: %v", got)
	}
	w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+hash1+`","vanity_url":"foo/bar","replicas":1,"runtime_revision":9}]}`).refusedWith(t, http.StatusUnprocessableEntity)
}

// TestDeleteSatelliteVersion removes a version that no launch has or runs, which frees
// the algorithms that it alone had, and no other.
func TestDeleteSatelliteVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("outgrown")
	const only = "00000000000000000000000000000000000000ab"
	w.push(only)
	next := func(hash string) {
		t.Helper()
		w.call(w.admin, "POST", satellite+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+hash+`","vanity_url":"foo/bar","replicas":1}]}`).want(t, http.StatusCreated)
	}
	next(only)
	next(hash2)
	launch := w.call(w.admin, "POST", satellite+"/launches", `{"name":"plant","satellite_version":2}`).want(t, http.StatusCreated)
	if said := w.call(w.admin, "DELETE", satellite+"/versions/2", "").refusedWith(t, http.StatusConflict); !strings.Contains(said, "is that of launches: plant") {
		t.Errorf("a version that a launch has is refused with %q", said)
	}
	if said := w.call(w.admin, "DELETE", satellite+"/versions/3", "").refusedWith(t, http.StatusConflict); !strings.Contains(said, "is the latest") {
		t.Errorf("the latest version is refused with %q", said)
	}
	w.call(w.operator, "DELETE", satellite+"/versions/1", "").refusedWith(t, http.StatusForbidden)
	w.call(w.admin, "DELETE", satellite+"/versions/4", "").refusedWith(t, http.StatusNotFound)
	w.call(w.admin, "PATCH", satellite+"/launches/"+launch["id"].(string), `{"satellite_version":3}`).want(t, http.StatusOK)
	w.call(w.admin, "DELETE", "/v1/algorithms/neo/hello/versions/"+only, "").refusedWith(t, http.StatusConflict)
	if got := w.call(w.admin, "DELETE", satellite+"/versions/2", ""); got.StatusCode != http.StatusNoContent {
		t.Fatalf("DELETE = %d %s, want 204", got.StatusCode, got.body)
	}
	if said := w.call(w.admin, "GET", satellite+"/versions/2", "").refusedWith(t, http.StatusNotFound); !strings.Contains(said, "was removed") {
		t.Errorf("a removed version is not found with %q", said)
	}
	w.call(w.admin, "DELETE", satellite+"/versions/2", "").refusedWith(t, http.StatusNotFound)
	w.call(w.admin, "GET", satellite+"/versions/3/diff?from=2", "").refusedWith(t, http.StatusNotFound)
	w.call(w.admin, "POST", satellite+"/launches", `{"name":"late","satellite_version":2}`).refusedWith(t, http.StatusUnprocessableEntity)
	w.call(w.admin, "GET", satellite+"/launches/"+launch["id"].(string), "").want(t, http.StatusOK)
	if got := w.call(w.admin, "DELETE", "/v1/algorithms/neo/hello/versions/"+only, ""); got.StatusCode != http.StatusNoContent {
		t.Errorf("an algorithm's version that the removed one alone had: DELETE = %d %s, want 204", got.StatusCode, got.body)
	}
	next(hash1) // is 4: a number is not given again
	numbers := []any{}
	for _, v := range w.call(w.admin, "GET", satellite+"/versions", "").want(t, http.StatusOK)["results"].([]any) {
		numbers = append(numbers, v.(map[string]any)["number"])
	}
	if diff := cmp.Diff([]any{4.0, 3.0, 1.0}, numbers); diff != "" {
		t.Errorf("versions that are left (-want +got):\n%s", diff)
	}
	events := w.call(w.admin, "GET", "/v1/events?action=satellite_version.delete", "").want(t, http.StatusOK)["results"].([]any)
	if len(events) != 1 || events[0].(map[string]any)["target_name"] != "outgrown" {
		t.Errorf("audit rows of the removal: %v", events)
	}
}

// TestDeleteAlgorithmVersion removes a version that nothing uses, and no other.
func TestDeleteAlgorithmVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const unused = "00000000000000000000000000000000000000aa"
	w.push(unused)
	w.satellite("user of it")
	if said := w.call(w.admin, "DELETE", "/v1/algorithms/neo/hello/versions/"+hash1, "").refusedWith(t, http.StatusConflict); said == "" {
		t.Error("a version that a satellite has is refused without a word")
	}
	const address = "/v1/algorithms/neo/hello/versions/" + unused
	w.call(w.operator, "DELETE", address, "").refusedWith(t, http.StatusForbidden)
	w.call(w.admin, "DELETE", address, "", `If-Match: "4"`).refusedWith(t, http.StatusPreconditionFailed)
	if got := w.call(w.admin, "DELETE", address, ""); got.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE = %d %s, want 204", got.StatusCode, got.body)
	}
	w.call(w.admin, "GET", address, "").refusedWith(t, http.StatusNotFound)
	w.push(unused) // the hash is free
	w.call(w.admin, "GET", address, "").want(t, http.StatusOK)
}
