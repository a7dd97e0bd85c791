package admin

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// limited gives the panel limits of so many requests an hour.
func (w *world) limited(quotas map[ratelimit.Name]int) {
	w.t.Helper()
	var limits []ratelimit.Limit
	for name, quota := range quotas {
		limits = append(limits, ratelimit.Limit{Name: name, Quota: quota, Window: time.Hour, Exact: name == ratelimit.SignIn})
	}
	address, err := httpserve.ClientAddress(nil, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	limiter := ratelimit.New(ratelimit.Config{Limits: limits, DB: w.db, Throttled: w.control.TellThrottled})
	w.panel = address(New(w.control, Options{PublicURL: "https://mothership.example.com", Limits: limiter}))
}

// get sends a GET from an address.
func (w *world) get(target, from string, cookies ...*http.Cookie) *http.Response {
	r := httptest.NewRequest("GET", target, nil).WithContext(w.t.Context())
	r.RemoteAddr = from + ":1234"
	for _, c := range cookies {
		r.AddCookie(c)
	}
	recorder := httptest.NewRecorder()
	w.panel.ServeHTTP(recorder, r)
	return recorder.Result()
}

// TestSignInsByAProviderAreLimitedByAddress: both their steps, in words.
func TestSignInsByAProviderAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	w, _ := provided(t)
	w.limited(map[ratelimit.Name]int{ratelimit.SignIn: 3})
	for i, step := range []struct {
		target, from string
		status       int
	}{
		{"/login/corp", "192.0.2.1", http.StatusSeeOther},
		{"/login/corp/callback?state=x&code=y", "192.0.2.1", http.StatusForbidden},
		{"/login/corp", "192.0.2.1", http.StatusSeeOther},
		{"/login/corp", "192.0.2.1", http.StatusTooManyRequests},
		{"/login/corp/callback?state=x&code=y", "192.0.2.1", http.StatusTooManyRequests},
		{"/login/corp", "192.0.2.2", http.StatusSeeOther},
		{"/login", "192.0.2.1", http.StatusOK}, // by a password
	} {
		answer := w.get(step.target, step.from)
		body := readAll(t, answer)
		if answer.StatusCode != step.status {
			t.Errorf("step %d: GET %s from %s = %d, want %d", i, step.target, step.from, answer.StatusCode, step.status)
		}
		if step.status != http.StatusTooManyRequests {
			continue
		}
		wantIn(t, body, "Too many requests", "Too many sign-ins came from 192.0.2.1: 3 steps of one an hour are taken; try again in 1")
		if after := answer.Header.Get("Retry-After"); len(after) != 4 || !strings.HasPrefix(answer.Header.Get("RateLimit"), `"sign-ins";r=0;t=`) {
			t.Errorf("Retry-After %q, RateLimit %q", after, answer.Header.Get("RateLimit"))
		}
	}
}

// TestPagesAreLimited: of a session, whose page stays around the answer, and of an
// address; what is live and what is static is not.
func TestPagesAreLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	cookie := w.visitor("neo", constellation.RoleAdmin)
	w.limited(map[ratelimit.Name]int{ratelimit.Session: 2, ratelimit.Address: 3})
	for _, status := range []int{200, 200, 429, 429} {
		answer := w.get("/algorithms", "192.0.2.1", cookie)
		body := readAll(t, answer)
		if answer.StatusCode != status {
			t.Errorf("GET /algorithms = %d, want %d", answer.StatusCode, status)
		}
		if status == 429 {
			wantIn(t, body, "Too many requests", "This session made too many requests: 2 an hour are answered; try again in 1", "Sign out")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the stream has no end of its own
	defer cancel()
	r := httptest.NewRequest("GET", "/live", nil).WithContext(ctx)
	r.AddCookie(cookie)
	live := httptest.NewRecorder()
	if w.panel.ServeHTTP(live, r); live.Code != http.StatusOK {
		t.Errorf("GET /live of a session beyond its limit = %d", live.Code)
	}
	for _, status := range []int{200, 303, 200, 429} {
		target := "/login"
		if status == 303 {
			target = "/users" // and on to the sign-in
		}
		answer := w.get(target, "192.0.2.9")
		body := readAll(t, answer)
		if answer.StatusCode != status {
			t.Errorf("GET %s = %d, want %d", target, answer.StatusCode, status)
		}
		if status == 429 {
			wantIn(t, body, "Too many requests", "came from 192.0.2.9: 3 an hour are answered")
		}
	}
	if got := w.get("/static/app.css", "192.0.2.9").StatusCode; got == http.StatusTooManyRequests {
		t.Errorf("a style = %d", got)
	}
}
