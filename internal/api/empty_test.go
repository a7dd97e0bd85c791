package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// TestOnlyWhatIsAbsentIsUnlimited: a limit or a filter that is empty, or that
// names what is not there, is refused and never means everything.
func TestOnlyWhatIsAbsentIsUnlimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	for _, tt := range []struct{ path, body, field string }{
		{"/v1/users/neo/keys", `{"name":"k","satellite_id":"","role":""}`, "satellite_id"},
		{"/v1/users/neo/keys", `{"name":"k","role":""}`, "role"},
		{"/v1/users/neo/keys", `{"name":"k","satellite_id":""}`, "satellite_id"},
		{"/v1/users/neo/keys", `{"name":"k","satellite_id":"00000000-0000-0000-0000-000000000000"}`, "satellite_id"},
		{"/v1/users/neo/keys", `{"name":"k","satellite_id":null}`, "satellite_id"},
		{"/v1/users/neo/keys", `{"name":"k","role":null}`, "role"},
		{"/v1/users/neo/keys", `{"name":"k","expires_at":null}`, "expires_at"},
		{satellite + "/keys", `{"name":"k","algorithms":[]}`, "algorithms"},
		{satellite + "/keys", `{"name":"k","algorithms":null}`, "algorithms"},
		{satellite + "/keys", `{"name":"k","algorithms":[""]}`, "algorithms[0]"},
		{satellite + "/keys", `{"name":"k","algorithms":["foo/bar","foo/baz"]}`, "algorithms[1]"},
		{satellite + "/keys", `{"name":"k","rate":{}}`, "rate.per_second"},
		{satellite + "/keys", `{"name":"k","rate":null}`, "rate"},
		{satellite + "/keys", `{"name":"k","rate":{"per_second":0}}`, "rate.per_second"},
		{satellite + "/keys", `{"name":"k","expires_at":null}`, "expires_at"},
		{satellite + "/launches", `{"name":"l","satellite_version":0}`, "satellite_version"},
	} {
		w.call(w.admin, "POST", tt.path, tt.body).refused(t, http.StatusUnprocessableEntity, apiv1.CodeValidationError, tt.field, "")
	}
	for _, path := range []string{
		"/v1/satellites?q=", "/v1/satellites?sort=", "/v1/satellites?limit=", "/v1/satellites?marker=", "/v1/users?q=", "/v1/algorithms?q=",
		"/v1/events?actor=", "/v1/events?action=", "/v1/events?target_kind=satellite&target_id=", "/v1/events?since=", satellite + "/launches?q=",
	} {
		name := strings.TrimSuffix(path[strings.LastIndexAny(path, "?&")+1:], "=")
		w.call(w.admin, "GET", path, "").refused(t, http.StatusUnprocessableEntity, apiv1.CodeValidationError, name, "is empty; give it a value, or leave it out")
	}
	// A value would not help what is no parameter here.
	for _, r := range []route{
		{"GET", "/v1/account?colour=", "", ""}, {"GET", "/v1/satellites?colour=&q=", "", ""}, {"DELETE", satellite + "?colour=", "", ""},
		{"POST", satellite + "/keys?colour=", "", `{"name":"k"}`},
	} {
		w.call(w.admin, r.method, r.path, r.body).refused(t, http.StatusBadRequest, apiv1.CodeInvalidRequest, "colour", "there is no query parameter colour here")
	}
	for _, body := range []string{`{"name":"all"}`, `{"name":"one","algorithms":["foo/bar"]}`} {
		w.call(w.admin, "POST", satellite+"/keys", body).want(t, http.StatusCreated)
	}
}
