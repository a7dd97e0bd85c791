package api

import (
	"net/http"
	"strings"
	"testing"
)

// TestMirrors: a rule is made, read, changed and removed; its secret address is shown
// once, and tells of pushes.
func TestMirrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	const body = `{"algorithm":"Neo/mirrored","source":"Registry.Example.com:443/team/model","tags":["v*"," !*-rc* ","v*"],"keep":5}`
	made := w.call(w.admin, "POST", "/v1/mirrors", body).want(t, http.StatusCreated)
	if made["source"] != "registry.example.com/team/model" || made["state"] != "waiting" || made["interval_seconds"] != 900.0 || made["keep"] != 5.0 || len(made["tags"].([]any)) != 2 {
		t.Errorf("the mirror is %v", made)
	}
	path := "/v1/mirrors/" + made["id"].(string)
	w.call(w.admin, "GET", "/v1/algorithms/neo/mirrored", "").want(t, http.StatusOK)
	w.call(w.admin, "POST", "/v1/mirrors", body).refused(t, http.StatusConflict, 1002, "", "has a mirror of registry.example.com/team/model already")
	for field, body := range map[string]string{
		"algorithm":        `{"algorithm":"neo","source":"registry.example.com/a","tags":["v*"]}`,
		"source":           `{"algorithm":"neo/hello","source":"registry.example.com/a:v1","tags":["v*"]}`,
		"tags":             `{"algorithm":"neo/hello","source":"registry.example.com/a","tags":["[v"]}`,
		"keep":             `{"algorithm":"neo/hello","source":"registry.example.com/a","tags":["v*"],"keep":1000}`,
		"interval_seconds": `{"algorithm":"neo/hello","source":"registry.example.com/a","tags":["v*"],"interval_seconds":1}`,
	} {
		w.call(w.admin, "POST", "/v1/mirrors", body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	list := w.call(w.admin, "GET", "/v1/mirrors?algorithm=neo/MIRRORED", "").want(t, http.StatusOK)
	if n := len(list["results"].([]any)); n != 1 {
		t.Errorf("the algorithm has %d mirrors, want 1", n)
	}
	if list := w.call(w.admin, "GET", "/v1/mirrors?algorithm=neo/hello", "").want(t, http.StatusOK); len(list["results"].([]any)) != 0 {
		t.Errorf("another algorithm has mirrors: %v", list)
	}
	w.call(w.admin, "GET", "/v1/mirrors?algorithm=neo", "").refused(t, http.StatusUnprocessableEntity, 6001, "algorithm", "")
	if got := w.call(w.admin, "GET", path+"/tags", "").want(t, http.StatusOK); len(got["results"].([]any)) != 0 {
		t.Errorf("the tags are %v", got)
	}
	w.call(w.admin, "POST", path+"/poll", "").want(t, http.StatusCreated)

	address := w.call(w.admin, "POST", path+"/webhook", "").want(t, http.StatusCreated)["url"].(string)
	notify := address[strings.Index(address, "/v1/"):]
	if got := w.call(w.admin, "GET", path, "").want(t, http.StatusOK); got["has_webhook"] != true {
		t.Errorf("the mirror is %v", got)
	}
	_, secret, _ := strings.Cut(notify, "secret=")
	if got := w.call("", "POST", notify, `{}`).want(t, http.StatusAccepted); got["polled"] != true {
		t.Errorf("the webhook answers %v", got)
	}
	if got := w.call(secret, "POST", path+"/notify", `{"image":"registry.example.com/team/other:v1"}`).want(t, http.StatusAccepted); got["polled"] != false {
		t.Errorf("the webhook answers %v to what is of another repository", got)
	}
	for _, wrong := range []string{path + "/notify", path + "/notify?secret=x", strings.Replace(notify, made["id"].(string), nobodysID, 1)} {
		w.call("", "POST", wrong, `{}`).want(t, http.StatusUnauthorized)
	}
	w.call(w.admin, "POST", path+"/notify", `{}`).want(t, http.StatusUnauthorized)
	w.call(w.admin, "DELETE", path+"/webhook", "").want(t, http.StatusNoContent)
	w.call("", "POST", notify, `{}`).want(t, http.StatusUnauthorized)

	if got := w.call(w.admin, "PATCH", path, `{"disabled":true,"tags":["*"]}`).want(t, http.StatusOK); got["state"] != "disabled" || got["next_poll_at"] != nil || got["keep"] != 5.0 {
		t.Errorf("turned off, the mirror is %v", got)
	}
	w.call(w.admin, "POST", path+"/poll", "").refused(t, http.StatusConflict, 1002, "", "is turned off")
	w.call(w.admin, "DELETE", path, "").want(t, http.StatusNoContent)
	w.call(w.admin, "GET", path, "").want(t, http.StatusNotFound)
}
