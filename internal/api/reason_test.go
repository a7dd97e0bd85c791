package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// documentedReasons are those that the document has.
func documentedReasons(t *testing.T) []string {
	t.Helper()
	schema := document(t)["components"].(map[string]any)["schemas"].(map[string]any)["Error"].(map[string]any)
	var names []string
	for _, name := range asList(schema["properties"].(map[string]any)["reason"].(map[string]any)["x-extensible-enum"]) {
		names = append(names, name.(string))
	}
	return names
}

func TestEveryReasonOfTheDocumentIsAnswered(t *testing.T) {
	t.Parallel()
	names := documentedReasons(t)
	if len(names) < 20 || !slices.IsSorted(names) {
		t.Errorf("the reasons of the document are %v, want 20 or more in order", names)
	}
	if got := httpserve.Reasons(); !slices.Equal(got, toReasons(names)) {
		t.Errorf("the document has the reasons %v, the server %v", names, got)
	}
}

func toReasons(names []string) []apiv1.Reason {
	list := make([]apiv1.Reason, 0, len(names))
	for _, name := range names {
		list = append(list, apiv1.Reason(name))
	}
	return list
}

// TestReasonsAreOpen: a client that is made from the document reads an error
// whose reason a later version has.
func TestReasonsAreOpen(t *testing.T) {
	t.Parallel()
	reason := document(t)["components"].(map[string]any)["schemas"].(map[string]any)["Error"].(map[string]any)["properties"].(map[string]any)["reason"].(map[string]any)
	if reason["enum"] != nil || reason["type"] != "string" {
		t.Errorf("the reason of an error is %v, want any text", reason)
	}
}

func TestReasonsTellApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	const nobody = "00000000-0000-4000-8000-000000000000"
	w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("once"), "Idempotency-Key: k").want(t, http.StatusCreated)
	for _, test := range []struct {
		key, method, path, body, header string
		status                          int
		want                            apiv1.Reason
	}{
		{"", "GET", "/v1/account", "", "", 401, apiv1.ReasonNoKey},
		{"nonsense", "GET", "/v1/account", "", "", 401, apiv1.ReasonBadKey},
		{w.viewer, "GET", "/v1/users", "", "", 403, apiv1.ReasonForbidden},
		{w.admin, "GET", "/v1/nothing", "", "", 404, apiv1.ReasonNotFound},
		{w.admin, "GET", "/v1/satellites/" + nobody, "", "", 404, apiv1.ReasonNotFound},
		{w.admin, "GET", "/v1/users/nobody", "", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "PATCH", "/v1/users/nobody", "{}", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "DELETE", "/v1/users/nobody", "", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "GET", "/v1/users/no%20body/keys", "", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "POST", "/v1/users/nobody/keys", `{"name":"k"}`, "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "DELETE", "/v1/users/nobody/keys/" + nobody, "", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "DELETE", "/v1/users/nobody/keys/no-id", "", "", 404, apiv1.ReasonUserNotFound},
		{w.admin, "DELETE", "/v1/users/neo/keys/" + nobody, "", "", 404, apiv1.ReasonNotFound},
		{w.admin, "PATCH", "/v1/satellites", "{}", "", 405, apiv1.ReasonMethodNotAllowed},
		{w.admin, "POST", "/v1/satellites", "{", "", 400, apiv1.ReasonMalformedJSON},
		{w.admin, "GET", "/v1/satellites?colour=red", "", "", 400, apiv1.ReasonInvalidRequest},
		{w.admin, "GET", "/v1/satellites?limit=0", "", "", 400, apiv1.ReasonBadLimit},
		{w.admin, "GET", "/v1/satellites?marker=no", "", "", 400, apiv1.ReasonBadMarker},
		{w.admin, "POST", "/v1/satellites", "{}", "", 422, apiv1.ReasonValidation},
		{w.admin, "POST", "/v1/satellites", satelliteJSON("s"), "", 409, apiv1.ReasonNameTaken},
		{w.admin, "POST", "/v1/satellites", satelliteJSON("twice"), "Idempotency-Key: k", 409, apiv1.ReasonConflict},
		{w.admin, "POST", "/v1/users", `{"username":"NEO","role":"viewer"}`, "", 409, apiv1.ReasonUsernameTaken},
		{w.admin, "DELETE", "/v1/users/neo", "", "", 409, apiv1.ReasonConflict},
		{w.admin, "PATCH", satellite, `{"name":"x"}`, `If-Match: "77"`, 412, apiv1.ReasonPreconditionFailed},
		{w.admin, "POST", "/v1/satellites", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, "", 413, apiv1.ReasonTooLarge},
		{w.admin, "POST", "/v1/satellites", "{}", "Content-Type: text/plain", 415, apiv1.ReasonUnsupportedMedia},
	} {
		var header []string
		if test.header != "" {
			header = append(header, test.header)
		}
		got := w.call(test.key, test.method, test.path, test.body, header...)
		if e := checkErrorShape(t, test.path, got.Response); got.StatusCode != test.status || e.Reason != test.want || e.Code != httpserve.CodeOf(test.want) {
			t.Errorf("%s %s = %d, %d %s (%s), want %d %s", test.method, test.path, got.StatusCode, e.Code, e.Reason, e.Message, test.status, test.want)
		}
		if allow := got.Header.Get("Allow"); test.status == http.StatusMethodNotAllowed && allow != "GET, HEAD, POST, PUT" {
			t.Errorf("%s %s: Allow = %q, want GET, HEAD, POST, PUT", test.method, test.path, allow)
		}
	}
}

// TestConflictsOfANewUser: only a username that is taken is told as that.
func TestConflictsOfANewUser(t *testing.T) {
	t.Parallel()
	taken := constellation.FieldError{Field: "username", Message: "taken"}
	for _, test := range []struct {
		err  *constellation.Error
		want apiv1.Reason
	}{
		{&constellation.Error{Kind: constellation.KindConflict, Message: "taken", Fields: []constellation.FieldError{taken}}, apiv1.ReasonUsernameTaken},
		{&constellation.Error{Kind: constellation.KindConflict, Message: "somebody else made the same just now; look again and repeat"}, apiv1.ReasonConflict},
		{&constellation.Error{Kind: constellation.KindInvalid, Message: "bad", Fields: []constellation.FieldError{taken}}, apiv1.ReasonValidation},
	} {
		w := httptest.NewRecorder()
		httpserve.WriteError(w, httptest.NewRequest(http.MethodPost, "/v1/users", nil), usernameReason(test.err))
		if e := checkErrorShape(t, "POST /v1/users", w.Result()); e.Reason != test.want {
			t.Errorf("%v of %v has the reason %s, want %s", test.err.Kind, test.err.Fields, e.Reason, test.want)
		}
	}
}
