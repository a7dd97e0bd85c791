package api

import (
	"net/http"
	"testing"

	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestRepeatedPostHappensOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("once"), "Idempotency-Key: k1")
	first.want(t, http.StatusCreated)
	again := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("once"), "Idempotency-Key: k1")
	if again.StatusCode != http.StatusCreated || string(again.body) != string(first.body) {
		t.Errorf("again = %d %s, want %s", again.StatusCode, again.body, first.body)
	}
	if first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("Idempotent-Replayed = %q, then %q", first.Header.Get("Idempotent-Replayed"), again.Header.Get("Idempotent-Replayed"))
	}
	for _, name := range []string{"ETag", "Location", "Content-Type"} {
		if got, want := again.Header.Get(name), first.Header.Get(name); got != want || got == "" {
			t.Errorf("again, %s = %q, want %q", name, got, want)
		}
	}
	other := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("other"), "Idempotency-Key: k1")
	if other.StatusCode != http.StatusConflict && other.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another body with the same key = %d %s, want a refusal", other.StatusCode, other.body)
	}
	checkErrorShape(t, "another body", other.Response)
	list := w.call(w.admin, "GET", "/v1/satellites", "").want(t, http.StatusOK)["results"].([]any)
	if len(list) != 1 {
		t.Errorf("there are %d satellites, want 1", len(list))
	}
}

func TestRefusedPostMayBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(w.admin, "POST", "/v1/satellites", `{"name":""}`, "Idempotency-Key: k1").refused(t, 422, 6001, "", "")
	w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("s"), "Idempotency-Key: k1").want(t, http.StatusCreated)
}

func TestIdempotencyKeysAreTheirOwners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	body := `{"satellite_version":1,"name":"berlin"}`
	w.call(w.admin, "POST", satellite+"/launches", body, "Idempotency-Key: k1").want(t, http.StatusCreated)
	other := w.call(w.operator, "POST", satellite+"/launches", body, "Idempotency-Key: k1")
	if other.StatusCode != http.StatusConflict {
		t.Errorf("another user's same key = %d %s, want 409 for the name", other.StatusCode, other.body)
	}
}

func TestRepeatedPostsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const callers = 8
	answers := make(chan answer, callers)
	for range callers {
		go func() {
			answers <- w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("once"), "Idempotency-Key: k1")
		}()
	}
	ids := map[any]bool{}
	for range callers {
		if got := waittest.Receive(t, "an answer", answers); got.StatusCode == http.StatusCreated {
			ids[got.want(t, http.StatusCreated)["id"]] = true
		} else if got.StatusCode != http.StatusConflict { // still running: the caller may try again
			t.Errorf("at once = %d %s", got.StatusCode, got.body)
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d satellites were made, want 1", len(ids))
	}
}

func TestRepeatedKeyCreationShowsTheSameKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	first := w.call(w.admin, "POST", satellite+"/keys", `{"name":"k"}`, "Idempotency-Key: k1").want(t, http.StatusCreated)
	again := w.call(w.admin, "POST", satellite+"/keys", `{"name":"k"}`, "Idempotency-Key: k1").want(t, http.StatusCreated)
	if first["key"] != again["key"] || first["id"] != again["id"] {
		t.Errorf("again = %v, want %v", again, first)
	}
}
