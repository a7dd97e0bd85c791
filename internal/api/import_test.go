package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestImportAVersion: a version that is imported is there at once, and no satellite can
// have it.
func TestImportAVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hash := strings.Repeat("ab", 20)
	path := "/v1/algorithms/neo/new/versions"
	body := `{"git_hash":"` + hash + `","semantic_version":"1.2.3","image":"Registry.Example.com:443/team/model","runtime":{"concurrency":4}}`
	made := w.call(w.admin, "POST", path, body).want(t, http.StatusAccepted)
	imported := made["import"].(map[string]any)
	if made["state"] != "importing" || imported["image"] != "registry.example.com/team/model:latest" || imported["phase"] != "waiting" || imported["bytes"] != nil {
		t.Errorf("the version is %v", made)
	}
	w.call(w.admin, "POST", path, body).want(t, http.StatusAccepted)
	if got := w.call(w.viewer, "GET", path+"/"+hash, "").want(t, http.StatusOK); got["state"] != "importing" || got["import"] == nil {
		t.Errorf("the version reads %v", got)
	}
	list := w.call(w.viewer, "GET", path, "").want(t, http.StatusOK)["results"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["import"] == nil {
		t.Errorf("the list is %v", list)
	}
	w.call(w.admin, "POST", "/v1/satellites", `{"name":"early","algorithms":[{"algorithm":"neo/new/`+hash+`","vanity_url":"foo/bar","replicas":1}]}`).
		refused(t, http.StatusUnprocessableEntity, 6001, "algorithms[0].algorithm", "is still being imported; wait until it is ready")
	w.call(w.admin, "PATCH", path+"/"+hash, `{"runtime":{"concurrency":2}}`).refused(t, http.StatusUnprocessableEntity, 6001, "", "is importing")
	w.call(w.admin, "POST", path, strings.Replace(body, "team/model", "team/other", 1)).refused(t, http.StatusConflict, 1002, "", "is being imported, from registry.example.com/team/model:latest")
	w.call(w.admin, "DELETE", path+"/"+hash+"/import", "").want(t, http.StatusNoContent)
	got := w.call(w.viewer, "GET", path+"/"+hash, "").want(t, http.StatusOK)
	if got["state"] != "failed" || got["import"].(map[string]any)["error"] != "it was cancelled by neo" {
		t.Errorf("once cancelled the version is %v", got)
	}
	w.call(w.admin, "POST", "/v1/satellites", `{"name":"early","algorithms":[{"algorithm":"neo/new/`+hash+`","vanity_url":"foo/bar","replicas":1}]}`).
		refused(t, http.StatusUnprocessableEntity, 6001, "algorithms[0].algorithm", "failed")
	w.call(w.admin, "DELETE", path+"/"+hash, "").want(t, http.StatusNoContent)
	w.call(w.viewer, "GET", path+"/"+hash, "").refusedWith(t, http.StatusNotFound)
	for field, body := range map[string]string{
		"image":            `{"git_hash":"` + hash + `","image":"https://registry.example.com/a"}`,
		"git_hash":         `{"git_hash":"v1","image":"a"}`,
		"semantic_version": `{"git_hash":"` + hash + `","image":"a","semantic_version":"one"}`,
		"runtime.protocol": `{"git_hash":"` + hash + `","image":"a","runtime":{"protocol":"smtp"}}`,
	} {
		w.call(w.admin, "POST", path, body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	w.call(w.operator, "POST", path, body).refusedWith(t, http.StatusForbidden)
	w.call(w.admin, "POST", path, body).want(t, http.StatusAccepted)
	w.execute(w.url, `UPDATE algorithm_versions SET state = 'ready' WHERE git_hash = '`+hash+`'`) // as the importer ends
	if again := w.call(w.admin, "POST", path, body).want(t, http.StatusOK); again["state"] != "ready" {
		t.Errorf("asked for again once it is there, the version is %v", again)
	}
}

// TestRegistries: a password goes in and never comes out, and does not go on to another
// name or another way to reach the registry.
func TestRegistries(t *testing.T) {
	t.Parallel()
	var refuses error
	w := newWorld(t, func(o *control.Options) {
		o.CheckRegistry = func(_ context.Context, host string) error {
			if host != "registry.example.com" {
				t.Errorf("%s is tested", host)
			}
			return refuses
		}
	})
	const secret = "hunter2-very-secret"
	made := w.call(w.admin, "POST", "/v1/registries", `{"host":"Registry.Example.com:443","username":"robot","password":"`+secret+`"}`).want(t, http.StatusCreated)
	if made["host"] != "registry.example.com" || made["has_password"] != true || made["password"] != nil {
		t.Errorf("the registry is %v", made)
	}
	path := "/v1/registries/" + made["id"].(string)
	if got := w.call(w.admin, "POST", path+"/test", "").want(t, http.StatusCreated); got["works"] != true || got["error"] != nil {
		t.Errorf("a registry that lets us in is %v", got)
	}
	refuses = constellation.Errorf(constellation.KindForbidden, "it does not let us in")
	if got := w.call(w.admin, "POST", path+"/test", "").want(t, http.StatusCreated); got["works"] != false || got["error"] != "it does not let us in" {
		t.Errorf("a registry that does not let us in is %v", got)
	}
	if made["last_used_at"] != nil {
		t.Errorf("a new registry was used at %v", made["last_used_at"])
	}
	for range 2 { // the second within a minute of the first
		if _, _, err := w.control.RegistryLogin(t.Context(), "registry.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	first := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)["last_used_at"]
	w.clock.Add(61)
	if _, _, err := w.control.RegistryLogin(t.Context(), "registry.example.com"); err != nil {
		t.Fatal(err)
	}
	if second := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)["last_used_at"]; first == nil || second == nil || second.(string) <= first.(string) {
		t.Errorf("it was last used at %v, and a minute later at %v", first, second)
	}
	w.call(w.admin, "POST", "/v1/registries", `{"host":"registry.example.com"}`).refused(t, http.StatusConflict, 1002, "", "is there already")
	w.call(w.admin, "PATCH", path, `{"plain_http":true}`).refused(t, http.StatusUnprocessableEntity, 6001, "password", "give the password again")
	w.call(w.admin, "PATCH", path, `{"username":"other"}`).refused(t, http.StatusUnprocessableEntity, 6001, "password", "give the password again")
	w.call(w.admin, "PATCH", path, `{"ca":"nonsense"}`).refused(t, http.StatusUnprocessableEntity, 6001, "ca", "no PEM")
	w.call(w.admin, "PATCH", path, `{"username":"other","password":"another-`+secret+`"}`).want(t, http.StatusOK)
	if got := w.call(w.admin, "PATCH", path, `{"username":""}`).want(t, http.StatusOK); got["has_password"] != false || got["username"] != nil {
		t.Errorf("without a login the registry is %v", got)
	}
	for field, body := range map[string]string{
		"host":     `{"host":"https://registry.example.com"}`,
		"username": `{"host":"a.example","password":"x"}`,
		"password": `{"host":"a.example","username":"x"}`,
		"ca":       `{"host":"a.example","plain_http":true,"ca":"x"}`,
	} {
		w.call(w.admin, "POST", "/v1/registries", body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	list := w.call(w.admin, "GET", "/v1/registries?q=example", "").want(t, http.StatusOK)
	if results := list["results"].([]any); len(results) != 1 {
		t.Errorf("the list is %v", list)
	}
	w.call(w.admin, "DELETE", path, "").want(t, http.StatusNoContent)
	w.call(w.admin, "GET", path, "").refusedWith(t, http.StatusNotFound)
	events, err := json.Marshal(w.call(w.admin, "GET", "/v1/events?expand=changes", "").want(t, http.StatusOK))
	if err != nil || strings.Contains(string(events), "secret") {
		t.Errorf("the audit log has the password: %s, %v", events, err)
	}
}
