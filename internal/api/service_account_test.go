package api

import (
	"net/http"
	"testing"
)

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(w.admin, "POST", "/v1/service-accounts", `{"username":"ci","role":"operator"}`).want(t, http.StatusCreated)
	if made["username"] != "ci" || made["role"] != "operator" || made["disabled"] != false {
		t.Errorf("made %v", made)
	}
	key := w.call(w.admin, "POST", "/v1/users/ci/keys", `{"name":"k"}`).want(t, http.StatusCreated)["key"].(string)
	if got := w.call(key, "GET", "/v1/account", "").want(t, http.StatusOK); got["username"] != "ci" || got["role"] != "operator" {
		t.Errorf("its key is %v", got)
	}
	for path, want := range map[string]int{"/v1/service-accounts": 1, "/v1/users": 3} {
		if got := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)["results"].([]any); len(got) != want {
			t.Errorf("GET %s lists %d accounts, want %d", path, len(got), want)
		}
	}
	w.call(w.admin, "POST", "/v1/users", `{"username":"CI","role":"viewer"}`).refused(t, http.StatusConflict, 3003, "", "")
	w.call(w.admin, "PATCH", "/v1/users/ci", `{"password":"correct horse battery"}`).refused(t, http.StatusConflict, 1002, "", "service account")
	for _, method := range []string{"GET", "DELETE"} {
		w.call(w.admin, method, "/v1/service-accounts/neo", "").refused(t, http.StatusNotFound, 3000, "", "person's account")
	}
	w.call(w.admin, "PATCH", "/v1/service-accounts/neo", `{"disabled":true}`).refused(t, http.StatusNotFound, 3000, "", "person's account")
	w.call(w.admin, "PATCH", "/v1/service-accounts/ci", `{"role":"viewer"}`).want(t, http.StatusOK)
	if got := w.call(key, "GET", "/v1/account", "").want(t, http.StatusOK); got["role"] != "viewer" {
		t.Errorf("its key after another role is %v", got)
	}
	w.call(w.admin, "PATCH", "/v1/service-accounts/ci", `{"disabled":true}`).want(t, http.StatusOK)
	w.call(key, "GET", "/v1/account", "").refused(t, http.StatusUnauthorized, 2002, "", "disabled")
	w.call(w.admin, "DELETE", "/v1/service-accounts/ci", "").want(t, http.StatusNoContent)
	w.call(w.admin, "GET", "/v1/service-accounts/ci", "").refused(t, http.StatusNotFound, 3000, "", "")
}
