package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
)

// TestLimitsOverServers: two servers share each limit, tell it alike, leave alone what
// has none, and people are told once of who is throttled, whichever server it was.
func TestLimitsOverServers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var mu sync.Mutex
	var told []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		told = append(told, string(body))
	}))
	defer receiver.Close()
	options := []string{
		"--database-url", f.database, "--outbound-allow", "127.0.0.1", "--trusted-proxy", "127.0.0.1", "--rate-limit-key", "320/h",
		"--rate-limit-address", "100/h", "--rate-limit-wrong-key", "5/h", "--rate-limit-sign-in", "4/h", "--rate-limit-token-exchange", "3/h",
	}
	one := serveInProcess(t, f.dir, options...)
	two := serveInProcess(t, f.dir, options...)
	f.account(t)
	bearer := []string{"Authorization", "Bearer " + f.key}
	post := func(path, body string) (id string) {
		t.Helper()
		response, answer := fetch(t, http.DefaultClient, "POST", one.url+path, body, append(bearer, "Content-Type", "application/json")...)
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &made); err != nil || response.StatusCode != http.StatusCreated {
			t.Fatalf("POST %s = %d %s", path, response.StatusCode, answer)
		}
		return made.ID
	}
	destination := post("/v1/notifications/destinations", `{"name":"d","kind":"webhook","url":"`+receiver.URL+`"}`)
	post("/v1/notifications/rules", `{"name":"r","kinds":["sign_in.throttled"],"group_seconds":1,"destinations":["`+destination+`"]}`)

	ask := func(address string, header ...string) int {
		response, _ := fetch(t, http.DefaultClient, "GET", address, "", header...)
		return response.StatusCode
	}
	admitted := 2
	for refused := [2]int{}; min(refused[0], refused[1]) < 3; { // what one has claimed, it uses
		for i, url := range []string{one.url, two.url} {
			if ask(url+"/v1/account", bearer...) == http.StatusOK {
				admitted++
			} else {
				refused[i]++
			}
		}
	}
	if admitted < 320 || admitted > 320+2*10 {
		t.Errorf("two servers answered %d requests of a key that may make 320", admitted)
	}
	other := auth.NewKey()
	for _, test := range []struct {
		method, path, body, key string
		quota, status           int
	}{
		{"GET", "/v2/", "", other, 5, http.StatusUnauthorized},
		{"GET", "/login/none", "", "", 4, http.StatusNotFound},
		{"POST", "/v1/token-exchange", `{"subject_token":"x"}`, "", 3, http.StatusUnauthorized},
	} {
		for n := range 12 {
			header := []string{"X-Forwarded-For", "203.0.113.5", "Content-Type", "application/json"}
			if test.key != "" {
				header = append(header, "Authorization", "Bearer "+test.key)
			}
			want := test.status
			if n >= test.quota {
				want = http.StatusTooManyRequests
			}
			response, body := fetch(t, http.DefaultClient, test.method, []string{one.url, two.url}[n%2]+test.path, test.body, header...)
			if response.StatusCode != want || want == http.StatusTooManyRequests && (len(response.Header.Get("Retry-After")) < 3 || !strings.Contains(body, "try again in ")) {
				t.Errorf("%s %s, request %d = %d, Retry-After %q: %s; want %d", test.method, test.path, n+1, response.StatusCode, response.Header.Get("Retry-After"), body, want)
			}
		}
		if got := ask(one.url+"/v1/account", "X-Forwarded-For", "203.0.113.5", "Authorization", "Bearer "+f.key); got != http.StatusTooManyRequests && got != http.StatusOK {
			t.Errorf("a right key from an address that is throttled = %d", got)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for range 150 {
			if got := ask(one.url + path); got != http.StatusOK {
				t.Fatalf("%s, which has no limit = %d", path, got)
			}
		}
	}
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told, "\n")
	}
	for _, what := range []string{"wrong, revoked or expired from 203.0.113.5", "sign-ins by a provider, set-ups and invitations from 203.0.113.5", "tokens to be exchanged from 203.0.113.5"} {
		eventually(t, "people are told of "+what, func() bool { return strings.Contains(said(), what) })
		if n := strings.Count(said(), what); n != 1 {
			t.Errorf("people are told %d times of %s: %s", n, what, said())
		}
	}
	_, metrics := fetch(t, http.DefaultClient, "GET", two.url+"/metrics", "")
	for _, want := range []string{`constellation_rate_limit_requests_total{limit="token-exchanges",outcome="refused"} `, "constellation_rate_limits_shared 1"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}
