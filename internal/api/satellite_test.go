package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/waittest"
)

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func TestSatelliteIsMadeAsDesigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("Edge"))
	body := got.want(t, http.StatusCreated)
	if keys := slices.Sorted(maps.Keys(body)); !slices.Equal(keys, []string{"created_at", "created_by", "expires_at", "id", "labels", "latest_version", "launches", "name", "updated_at"}) {
		t.Errorf("a satellite has the fields %v", keys)
	}
	var s apiv1.Satellite
	if err := json.Unmarshal(got.body, &s); err != nil {
		t.Fatal(err)
	}
	if !uuidPattern.MatchString(s.ID) || s.Name != "Edge" || s.CreatedBy != "neo" || got.Header.Get("ETag") != `"1"` {
		t.Errorf("satellite = %s, ETag %s", got.body, got.Header.Get("ETag"))
	}
	if got, want := got.Header.Get("Location"), "https://mothership.example.com/v1/satellites/"+s.ID; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if life := s.ExpiresAt.Sub(s.CreatedAt); life != 365*24*time.Hour {
		t.Errorf("expires %v after its creation, want a year", life)
	}
	for _, field := range []string{"created_at", "expires_at"} {
		if !strings.HasSuffix(body[field].(string), "Z") {
			t.Errorf("%s = %v, want UTC", field, body[field])
		}
	}
	want := apiv1.SatelliteVersion{
		Number: 1, CreatedAt: s.LatestVersion.CreatedAt, CreatedBy: "neo",
		Algorithms: []apiv1.SatelliteAlgorithm{{Algorithm: "neo/hello/" + hash1, VanityURL: "foo/bar", Replicas: 2, RuntimeRevision: 1}},
		Schedules:  []apiv1.Schedule{},
	}
	if diff := cmp.Diff(want, s.LatestVersion); diff != "" {
		t.Errorf("latest_version (-want +got):\n%s", diff)
	}
}

func TestVersionsAndDiff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	next := fmt.Sprintf(`{"algorithms":[{"algorithm":"neo/hello/%s","vanity_url":"foo/bar","replicas":2},{"algorithm":"neo/hello/%s","vanity_url":"a/b","replicas":0}]}`, hash2, hash1)
	got := w.call(w.admin, "POST", satellite+"/versions", next)
	if body := got.want(t, http.StatusCreated); body["number"] != 2.0 || got.Header.Get("ETag") != `"2"` {
		t.Errorf("POST versions = %v, ETag %s", body, got.Header.Get("ETag"))
	}
	diff := w.call(w.viewer, "GET", satellite+"/versions/2/diff?from=1", "")
	diff.want(t, http.StatusOK)
	var d apiv1.VersionDiff
	if err := json.Unmarshal(diff.body, &d); err != nil {
		t.Fatal(err)
	}
	want := apiv1.VersionDiff{
		From: 1, To: 2, Removed: []apiv1.SatelliteAlgorithm{},
		Added: []apiv1.SatelliteAlgorithm{{Algorithm: "neo/hello/" + hash1, VanityURL: "a/b", RuntimeRevision: 1}},
		Changed: []apiv1.AlgorithmChange{{
			From: apiv1.SatelliteAlgorithm{Algorithm: "neo/hello/" + hash1, VanityURL: "foo/bar", Replicas: 2, RuntimeRevision: 1},
			To:   apiv1.SatelliteAlgorithm{Algorithm: "neo/hello/" + hash2, VanityURL: "foo/bar", Replicas: 2, RuntimeRevision: 1},
		}},
		Schedules: apiv1.ScheduleDiff{Added: []apiv1.Schedule{}, Removed: []apiv1.Schedule{}, Changed: []apiv1.ScheduleChange{}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("diff (-want +got):\n%s", diff)
	}
	if body := w.call(w.viewer, "GET", satellite+"/versions/1", "").want(t, http.StatusOK); body["number"] != 1.0 {
		t.Errorf("GET versions/1 = %v", body)
	}
	if list := w.call(w.viewer, "GET", satellite+"/versions", "").want(t, http.StatusOK)["results"].([]any); len(list) != 2 {
		t.Errorf("GET versions gave %d, want 2", len(list))
	}
}

func TestTwoEditors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	seen := w.call(w.viewer, "GET", satellite, "").Header.Get("ETag")
	w.call(w.admin, "PATCH", satellite, `{"name":"first"}`, "If-Match: "+seen).want(t, http.StatusOK)

	version := `{"algorithms":[{"algorithm":"neo/hello/` + hash2 + `","vanity_url":"foo/bar","replicas":2}]}`
	for stale, says := range map[string]string{seen: "neo", `"nonsense"`: "If-Match is no ETag of satellite first"} {
		for _, r := range []route{{"PATCH", satellite, "", `{"name":"second"}`}, {"DELETE", satellite, "", ""}, {"POST", satellite + "/versions", "", version}} {
			w.call(w.admin, r.method, r.path, r.body, "If-Match: "+stale).refused(t, http.StatusPreconditionFailed, 2015, "", says)
		}
	}
	now := w.call(w.viewer, "GET", satellite, "")
	if body := now.want(t, http.StatusOK); body["name"] != "first" {
		t.Errorf("name = %v, want the first editor's", body["name"])
	}
	w.call(w.admin, "POST", satellite+"/versions", version, "If-Match: "+now.Header.Get("ETag")).want(t, http.StatusCreated)
	w.call(w.admin, "PATCH", satellite, `{"name":"third"}`, "If-Match: *").want(t, http.StatusOK)
	w.call(w.admin, "DELETE", satellite, "", "If-Match: "+seen).refused(t, http.StatusPreconditionFailed, 2015, "", "")
	current := w.call(w.viewer, "GET", satellite, "").Header.Get("ETag")
	w.call(w.admin, "DELETE", satellite, "", "If-Match: "+current).want(t, http.StatusNoContent)
	w.call(w.admin, "GET", satellite, "").refused(t, http.StatusNotFound, 1000, "", "")
}

func TestTwoEditorsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	const editors = 8
	statuses := make(chan int, editors)
	for i := range editors {
		go func() {
			statuses <- w.call(w.admin, "PATCH", satellite, fmt.Sprintf(`{"name":"editor %d"}`, i), `If-Match: "1"`).StatusCode
		}()
	}
	count := map[int]int{}
	for range editors {
		count[waittest.Receive(t, "an answer", statuses)]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusPreconditionFailed] != editors-1 {
		t.Errorf("statuses = %v, want one 200 and %d 412", count, editors-1)
	}
}

func TestRenamingMakesNoVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	body := w.call(w.admin, "PATCH", satellite, `{"name":"renamed","expires_at":"2099-01-01T00:00:00+02:00"}`).want(t, http.StatusOK)
	if body["name"] != "renamed" || body["expires_at"] != "2098-12-31T22:00:00Z" || body["latest_version"].(map[string]any)["number"] != 1.0 {
		t.Errorf("PATCH = %v", body)
	}
}

func TestLaunches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	got := w.call(w.operator, "POST", satellite+"/launches", `{"satellite_version":1,"name":"berlin","description":"the basement"}`)
	body := got.want(t, http.StatusCreated)
	if !uuidPattern.MatchString(body["id"].(string)) || body["satellite_version"] != 1.0 || body["created_by"] != "trinity" ||
		body["description"] != "the basement" || body["last_seen_at"] != nil || strings.Contains(string(got.body), "token") {
		t.Errorf("POST launches = %s", got.body)
	}
	launch := satellite + "/launches/" + body["id"].(string)
	version := `{"algorithms":[{"algorithm":"neo/hello/` + hash2 + `","vanity_url":"foo/bar","replicas":2}]}`
	w.call(w.admin, "POST", satellite+"/versions", version).want(t, http.StatusCreated)
	tag := w.call(w.viewer, "GET", launch, "").Header.Get("ETag")
	updated := w.call(w.operator, "PATCH", launch, `{"satellite_version":2}`, "If-Match: "+tag)
	if body := updated.want(t, http.StatusOK); body["satellite_version"] != 2.0 || body["name"] != "berlin" || updated.Header.Get("ETag") == tag {
		t.Errorf("PATCH = %v, ETag %s after %s", body, updated.Header.Get("ETag"), tag)
	}
	w.call(w.operator, "PATCH", launch, `{"satellite_version":1}`, "If-Match: "+tag).refused(t, http.StatusPreconditionFailed, 2015, "", "trinity")
	w.call(w.operator, "DELETE", launch, "", "If-Match: "+tag).refused(t, http.StatusPreconditionFailed, 2015, "", "trinity")
	latest := w.call(w.operator, "POST", satellite+"/launches", `{"name":"latest"}`).want(t, http.StatusCreated)
	if latest["satellite_version"] != 2.0 {
		t.Errorf("a launch that names no version has %v, want the latest", latest["satellite_version"])
	}
	w.call(w.operator, "DELETE", launch, "", "If-Match: "+updated.Header.Get("ETag")).want(t, http.StatusNoContent)
	w.call(w.operator, "GET", launch, "").refused(t, http.StatusNotFound, 1000, "", "")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	launch := w.launch(satellite, "berlin")
	got := w.call(w.operator, "GET", launch+"/plan", "")
	got.want(t, http.StatusOK)
	var signed apiv1.SignedPlan
	if err := json.Unmarshal(got.body, &signed); err != nil {
		t.Fatal(err)
	}
	var signature bundle.Signature
	if err := json.Unmarshal(signed.Signature, &signature); err != nil {
		t.Fatal(err)
	}
	if err := signature.Verify([]byte(signed.Launch), nil); err != nil {
		t.Errorf("verify the root as it came over the wire: %v", err)
	}
	root, err := bundle.ParseRoot([]byte(signed.Launch))
	if err != nil {
		t.Fatal(err)
	}
	if root.Plan.Digest != bundle.Digest([]byte(signed.Plan)) {
		t.Errorf("the plan's digest is not the root's")
	}
	tag := got.Header.Get("ETag")
	if want := `"` + bundle.Digest([]byte(signed.Launch)) + `"`; tag != want {
		t.Errorf("ETag = %s, want %s", tag, want)
	}
	if want := strings.NewReplacer("/v1/", "", "/launches/", ":").Replace(launch); signed.Bundle != want {
		t.Errorf("bundle = %q, want %q", signed.Bundle, want)
	}
	same := w.call(w.operator, "GET", launch+"/plan", "", "If-None-Match: "+tag)
	if same.StatusCode != http.StatusNotModified || len(same.body) != 0 || same.Header.Get("ETag") != tag {
		t.Errorf("GET with If-None-Match = %d %q, ETag %s", same.StatusCode, same.body, same.Header.Get("ETag"))
	}
	w.call(w.operator, "PATCH", launch, `{"name":"munich"}`).want(t, http.StatusOK)
	w.call(w.operator, "GET", launch+"/plan", "", "If-None-Match: "+tag).want(t, http.StatusOK)
}

func TestPlanOfAnExpiredSatelliteIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	launch := w.launch(satellite, "berlin")
	w.call(w.admin, "PATCH", satellite, `{"expires_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`).want(t, http.StatusOK)
	w.clock.Store(7200)
	got := w.call(w.operator, "GET", launch+"/plan", "")
	if got.StatusCode < 400 || got.StatusCode >= 500 {
		t.Fatalf("GET plan of an expired satellite = %d %s", got.StatusCode, got.body)
	}
	if e := checkErrorShape(t, "plan", got.Response); !strings.Contains(e.Message, "expired") {
		t.Errorf("message = %q, want that it expired", e.Message)
	}
	w.call(w.admin, "GET", launch, "").want(t, http.StatusOK)
}

func TestKeysAreShownOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	for _, keys := range []string{satellite + "/keys", "/v1/users/neo/keys"} {
		made := w.call(w.admin, "POST", keys, `{"name":"once"}`).want(t, http.StatusCreated)
		secret := made["key"].(string)
		if !strings.HasPrefix(secret, "cst_") || !strings.HasPrefix(secret, made["prefix"].(string)) {
			t.Errorf("POST %s: key %q, prefix %q", keys, secret, made["prefix"])
		}
		list := w.call(w.admin, "GET", keys, "")
		list.want(t, http.StatusOK)
		if strings.Contains(string(list.body), secret) || strings.Contains(string(list.body), `"key":`) || strings.Contains(string(list.body), "sha256") {
			t.Errorf("GET %s shows a secret: %s", keys, list.body)
		}
		events := w.call(w.admin, "GET", "/v1/events", "")
		if strings.Contains(string(events.body), secret) {
			t.Errorf("the audit log shows the key of %s", keys)
		}
		w.call(w.admin, "DELETE", keys+"/"+made["id"].(string), "").want(t, http.StatusNoContent)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := w.call(w.admin, "POST", "/v1/users", `{"username":"Smith","role":"viewer","password":"correct horse battery"}`).want(t, http.StatusCreated)
	if body["username"] != "Smith" || body["role"] != "viewer" || body["has_password"] != true || body["disabled"] != false {
		t.Errorf("POST /v1/users = %v", body)
	}
	if body := w.call(w.admin, "PATCH", "/v1/users/smith", `{"role":"operator"}`).want(t, http.StatusOK); body["role"] != "operator" {
		t.Errorf("PATCH = %v", body)
	}
	w.call(w.admin, "DELETE", "/v1/users/smith", "").want(t, http.StatusNoContent)
	w.call(w.admin, "GET", "/v1/users/smith", "").refused(t, http.StatusNotFound, 3000, "", "")
}

func TestEveryChangeIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.call(w.admin, "PATCH", satellite, `{"name":"Renamed"}`).want(t, http.StatusOK)
	w.call(w.admin, "DELETE", satellite, "").want(t, http.StatusNoContent)
	list := w.call(w.admin, "GET", "/v1/events?target_kind=satellite&actor=neo", "").want(t, http.StatusOK)["results"].([]any)
	var actions []string
	for _, event := range list {
		actions = append(actions, event.(map[string]any)["action"].(string))
	}
	if len(actions) != 3 {
		t.Errorf("the audit log has %v, want three changes", actions)
	}
	if none := w.call(w.admin, "GET", "/v1/events?actor=nobody", "").want(t, http.StatusOK)["results"].([]any); len(none) != 0 {
		t.Errorf("events of nobody: %v", none)
	}
}
