package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// limited serves the API with limits, behind a proxy on this machine that is trusted.
func (w *world) limited(limits ...ratelimit.Limit) {
	w.t.Helper()
	db, err := postgres.Open(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(db.Close)
	address, err := httpserve.ClientAddress([]string{"127.0.0.1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	limiter := ratelimit.New(ratelimit.Config{Limits: limits, DB: db, Throttled: w.control.TellThrottled})
	w.server = httptest.NewServer(address(New(w.control, Options{PublicURL: "https://mothership.example.com", Version: "1.2.3", Limits: limiter})))
	w.t.Cleanup(w.server.Close)
}

// hourly is a limit of so many requests an hour, of which none comes back in a test.
func hourly(name ratelimit.Name, quota int) ratelimit.Limit {
	return ratelimit.Limit{Name: name, Quota: quota, Window: time.Hour, Exact: name != ratelimit.Key && name != ratelimit.Address}
}

// TestTheLimitOfAKey: each answer tells what is left, to the number; the one beyond is
// refused, and another key of the account is not.
func TestTheLimitOfAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	satellite := w.satellite("reports")
	launch := w.reporter(satellite, w.launch(satellite, "reports"))
	w.limited(hourly(ratelimit.Key, 4))
	for i, request := range []struct{ method, path, body, more string }{
		{"GET", "/v1/account", "", `, "key";r=7, "account";r=31`},
		{"POST", "/v1/satellites", satelliteJSON("s"), ""},
		{"GET", "/v1/nothing", "", ""}, // no operation
		{"GET", "/v1/satellites?limit=x", "", `, "key";r=7, "account";r=31`},
		{"DELETE", "/v1/satellites/none", "", ""},
	} {
		got := w.call(w.admin, request.method, request.path, request.body)
		if request.path == "/v1/nothing" {
			if got.Header.Get("RateLimit") != "" {
				t.Errorf("what is no operation counts: %s", got.Header.Get("RateLimit"))
			}
			continue
		}
		used := i + 1
		if i > 2 {
			used--
		}
		policy, left := `"key-requests";q=4;w=3600`, fmt.Sprintf(`"key-requests";r=%d;t=%d`, 4-used, used*900)
		if request.more != "" {
			policy += `, "key";q=8;qu="concurrent-requests", "account";q=32;qu="concurrent-requests"`
		}
		near := fmt.Sprintf(`"key-requests";r=%d;t=%d`, 4-used, used*900-1) // a second later
		if h := got.Header; h.Get("RateLimit-Policy") != policy || h.Get("RateLimit") != left+request.more && h.Get("RateLimit") != near+request.more {
			t.Errorf("%s %s: RateLimit-Policy %s\nRateLimit %s, want %s", request.method, request.path, h.Get("RateLimit-Policy"), h.Get("RateLimit"), left+request.more)
		}
	}
	got := w.call(w.admin, "GET", "/v1/account", "")
	said := got.refusedWith(t, http.StatusTooManyRequests)
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after > 900 || after < 890 || !strings.Contains(said, fmt.Sprintf("4 an hour are answered; try again in %d seconds", after)) {
		t.Errorf("beyond the limit: %q, Retry-After %s", said, got.Header.Get("Retry-After"))
	}
	if left := got.Header.Get("RateLimit"); !strings.HasPrefix(left, `"key-requests";r=0;t=`) {
		t.Errorf("beyond the limit: RateLimit %s", left)
	}
	w.call(w.key("neo", control.NewKey{Name: "other"}), "GET", "/v1/account", "").want(t, http.StatusOK)
	launch.client = client.New(w.server.URL, launch.token, w.server.Client())
	for range 6 { // heartbeats have no limit
		launch.report()
	}
}

// TestTheLimitOfAnAddress without a key: as a trusted proxy says, and of IPv6 a /64.
func TestTheLimitOfAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limited(hourly(ratelimit.Address, 2), hourly(ratelimit.WrongKey, 2))
	wrong := auth.NewKey()
	from := func(key, address string) int {
		return w.call(key, "GET", "/v1/account", "", "X-Forwarded-For: "+address).StatusCode
	}
	for _, test := range []struct {
		key, address string
		status       int
	}{
		{"", "192.0.2.1", 401}, {"", "192.0.2.1", 401}, {"", "192.0.2.1", 429}, {"", "192.0.2.2", 401},
		{"", "2001:db8:0:1::1", 401}, {"", "2001:db8:0:1::2", 401}, {"", "2001:db8:0:1:ffff::", 429}, {"", "2001:db8:0:2::1", 401},
		{"", "198.51.100.9, 192.0.2.1", 429}, {"", "192.0.2.1, 198.51.100.9", 401}, // the last is whom the proxy saw
		{wrong, "192.0.2.1", 401}, {"nonsense", "192.0.2.1", 401}, {wrong, "192.0.2.1", 429}, {wrong, "192.0.2.3", 401},
		{w.viewer, "192.0.2.1", 200}, // who has a key is not hit by others there
	} {
		if got := from(test.key, test.address); got != test.status {
			t.Errorf("with the key %.8q from %s: %d, want %d", test.key, test.address, got, test.status)
		}
	}
	got := w.call("", "GET", "/v1/account", "", "X-Forwarded-For: 192.0.2.1")
	if said := got.refusedWith(t, 429); !strings.Contains(said, "without an API key came from 192.0.2.1: 2 an hour are answered; try again in 1") || got.Header.Get("Retry-After") == "1" {
		t.Errorf("refused with %q, Retry-After %s", said, got.Header.Get("Retry-After"))
	}
}

// TestExchangesAreLimitedByAddress, before a token is looked at.
func TestExchangesAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limited(hourly(ratelimit.Exchanges, 2))
	exchange := func(address string) answer {
		return w.call("", "POST", "/v1/token-exchange", `{"subject_token":"x"}`, "X-Forwarded-For: "+address)
	}
	for i, want := range []int{401, 401, 429} {
		got := exchange("192.0.2.1")
		if left := got.Header.Get("RateLimit"); got.StatusCode != want || !strings.HasPrefix(left, fmt.Sprintf(`"token-exchanges";r=%d;t=`, max(0, 1-i))) {
			t.Errorf("exchange %d: %d, RateLimit %s", i, got.StatusCode, left)
		}
	}
	if said := exchange("192.0.2.1").refusedWith(t, 429); !strings.Contains(said, "too many tokens came from 192.0.2.1 to be exchanged: 2 an hour") {
		t.Errorf("refused with %q", said)
	}
	exchange("192.0.2.2").refusedWith(t, 401)
}
