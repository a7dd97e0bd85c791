package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/client"
)

// run starts what a server runs beside its requests, and returns how to stop it.
func (w *world) run() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.control.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	w.t.Cleanup(stop)
	w.eventually("the server to run", w.control.Running)
	return stop
}

// eventually waits for a condition.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited a minute for %s", what)
		}
	}
}

// reporter is a launch that reports.
type reporter struct {
	w                     *world
	satelliteID, launchID string
	token                 string
	client                *client.Client
	beat                  apiv1.Heartbeat
}

func (w *world) reporter(satellite, launch string) *reporter {
	w.t.Helper()
	signed := w.call(w.operator, "GET", launch+"/plan", "").want(w.t, http.StatusOK)
	var plan bundle.Plan
	if err := json.Unmarshal([]byte(signed["plan"].(string)), &plan); err != nil {
		w.t.Fatal(err)
	}
	return &reporter{
		w: w, satelliteID: plan.Satellite.ID, launchID: plan.Launch.ID, token: plan.Launch.Token, client: client.New(w.server.URL, plan.Launch.Token, w.server.Client()),
		beat: apiv1.Heartbeat{
			Engine: "engine-1/boot-1", SatelliteVersion: 1, SystemVersion: "v9",
			Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 2, Ready: 2}},
		},
	}
}

// report sends the next heartbeat.
func (r *reporter) report() *apiv1.HeartbeatAnswer {
	r.w.t.Helper()
	r.beat.Sequence++
	answer, err := r.client.Heartbeat(r.w.t.Context(), r.satelliteID, r.launchID, &r.beat)
	if err != nil {
		r.w.t.Fatalf("heartbeat %d: %v", r.beat.Sequence, err)
	}
	return answer
}

func (r *reporter) counts(calls int64, errors map[string]int64) {
	latency := make([]int64, len(apiv1.LatencyBounds)+1)
	latency[4] = calls // from 5 to 10 ms
	r.beat.Engines = []apiv1.HeartbeatEngine{{ID: r.beat.Engine, Counts: []apiv1.HeartbeatCounts{{VanityURL: "foo/bar", Calls: calls, Errors: errors, Latency: latency}}}}
}

// shown reads the launch as users do.
func (r *reporter) shown() *apiv1.LaunchDetail {
	r.w.t.Helper()
	launch, _, err := client.New(r.w.server.URL, r.w.viewer, r.w.server.Client()).GetLaunch(r.w.t.Context(), r.satelliteID, r.launchID)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return launch
}

// becomes waits until the launch has the status, and checks the satellite's
// counts of launches.
func (r *reporter) becomes(status, reason string) {
	r.w.t.Helper()
	var launch *apiv1.LaunchDetail
	r.w.eventually(fmt.Sprintf("the status %q, %q", status, reason), func() bool {
		launch = r.shown()
		return launch.Status == status && strings.Contains(launch.StatusReason, reason)
	})
	want := map[string]any{"total": 1., "up": 0., "degraded": 0., "stale": 0.}
	want[status] = 1.
	var got any
	r.w.eventually(fmt.Sprintf("the counts %v; they are %v", want, got), func() bool {
		got = r.w.call(r.w.viewer, "GET", "/v1/satellites/"+r.satelliteID, "").want(r.w.t, http.StatusOK)["launches"]
		return cmp.Equal(got, any(want))
	})
}

func TestHeartbeatMakesALaunchSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	w.run()
	r := w.reporter(satellite, launch)
	if got := r.shown(); got.Status != "never_seen" || got.Report != nil || got.FirstSeenAt != nil || got.StatusReason == "" {
		t.Fatalf("a launch that never reported is %+v", got)
	}
	r.counts(3, nil)
	answer := r.report()
	if answer.NextSeconds != 30 || answer.SatelliteVersion != 1 || answer.Keys == nil || len(answer.Keys.Keys) != 0 || answer.Keys.Digest != apiv1.KeysDigest(nil) {
		t.Errorf("the first answer is %+v", answer)
	}
	// Acknowledged is stored: no waiting here.
	got := r.shown()
	if got.FirstSeenAt == nil || got.Status != "up" || *got.RunningVersion != 1 || got.SystemVersion != "v9" || got.Ready != 2 || got.Wanted != 2 || got.StatusReason != "all 2 replicas are ready" {
		t.Errorf("after its first heartbeat the launch is %+v", got)
	}
	r.counts(10, map[string]int64{"timeout": 2})
	r.report()
	w.eventually("the counts", func() bool { return r.shown().Report.Algorithms[0].Ever.Calls == 10 })
	algorithm := r.shown().Report.Algorithms[0]
	want := apiv1.CallCounts{Calls: 10, Errors: 2, ErrorsByType: map[string]int64{"timeout": 2}, P50: .0075, P95: .00975, P99: .00995}
	for _, counts := range []apiv1.CallCounts{algorithm.Ever, algorithm.Day} {
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	}
}

func TestHeartbeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	total := func() int64 { return r.shown().Report.Algorithms[0].Ever.Calls }
	r.counts(5, nil)
	r.report()
	r.counts(7, nil)
	r.beat.Sequence = 4
	r.report() // sequence 5; 2 to 4 got lost
	w.eventually("7 calls", func() bool { return total() == 7 })
	r.beat.Sequence = 4 // sent again
	r.report()
	r.counts(6, nil)
	r.beat.Sequence = 2 // overtaken on the way
	r.report()
	r.counts(9, nil)
	r.beat.Sequence = 5
	r.report()
	w.eventually("9 calls", func() bool { return total() == 9 })
	// The other engine reports from now on, with what the first counted when it
	// could still be asked.
	first := r.beat.Engines[0]
	r.beat.Engine, r.beat.Sequence = "engine-2/boot-1", 0
	r.counts(4, nil)
	r.beat.Engines = append(r.beat.Engines, first)
	r.report()
	w.eventually("13 calls", func() bool { return total() == 13 })
	// It starts anew.
	r.beat.Engine, r.beat.Sequence = "engine-2/boot-2", 0
	r.counts(1, nil)
	r.report()
	w.eventually("14 calls", func() bool { return total() == 14 })
}

func TestStatusHasHysteresis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	r.report()
	r.becomes("up", "all 2 replicas are ready")
	r.beat.Algorithms[0].Ready, r.beat.Algorithms[0].Reason = 1, "foo-bar-1 is restarted"
	r.report()
	r.becomes("up", "foo/bar has 1 of 2 replicas ready: foo-bar-1 is restarted; degraded if its next heartbeat says so too")
	r.report()
	r.becomes("degraded", "foo/bar has 1 of 2 replicas ready")
	r.beat.Algorithms[0].Ready = 2
	r.report()
	r.becomes("degraded", "all 2 replicas are ready again; up with its next heartbeat")
	r.report()
	r.becomes("up", "all 2 replicas are ready")

	w.clock.Store(100) // three heartbeats got lost: 30, 60, 90
	r.becomes("up", "all 2 replicas are ready")
	w.clock.Store(120)
	r.becomes("stale", "no heartbeat for 2 minutes; the last one came on")
	r.report()
	r.becomes("degraded", "it reports again after a silence")
	r.report()
	r.becomes("up", "all 2 replicas are ready")

	w.clock.Store(300)
	r.becomes("stale", "no heartbeat for")
	w.call(w.operator, "DELETE", fmt.Sprintf("/v1/satellites/%s/launches/%s", r.satelliteID, r.launchID), "").want(t, http.StatusNoContent)
	counts := w.call(w.viewer, "GET", "/v1/satellites/"+r.satelliteID, "").want(t, http.StatusOK)["launches"]
	if diff := cmp.Diff(map[string]any{"total": 0., "up": 0., "degraded": 0., "stale": 0.}, counts); diff != "" {
		t.Errorf("counts after the launch was removed (-want +got):\n%s", diff)
	}
	w.eventually("the removed launch to be refused", func() bool {
		r.beat.Sequence++
		_, err := r.client.Heartbeat(t.Context(), r.satelliteID, r.launchID, &r.beat)
		return client.IsNotFound(err)
	})
}

func TestARestartMakesNobodyStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	stop := w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	r.report()
	r.becomes("up", "")
	stop()
	w.clock.Store(3600) // an hour without a mothership
	w.run()
	r.becomes("up", "all 2 replicas are ready")
	w.clock.Store(3600 + 90)
	r.becomes("up", "all 2 replicas are ready")
	w.clock.Store(3600 + 110)
	r.becomes("stale", "no heartbeat for 61 minutes")
}

// TestRateOfAKey: from the request to what a satellite is told of it.
func TestRateOfAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	created := w.call(w.admin, "POST", satellite+"/keys", `{"name":"billing","rate":{"per_second":0.5,"burst":3}}`).want(t, http.StatusCreated)
	want := map[string]any{"per_second": .5, "burst": 3.}
	if diff := cmp.Diff(want, created["rate"]); diff != "" {
		t.Errorf("the rate of the key (-want +got):\n%s", diff)
	}
	w.call(w.admin, "POST", satellite+"/keys", `{"name":"free"}`).want(t, http.StatusCreated)
	listed := w.call(w.admin, "GET", satellite+"/keys", "").want(t, http.StatusOK)["results"].([]any)
	if got := listed[0].(map[string]any)["rate"]; !cmp.Equal(got, any(want)) || listed[1].(map[string]any)["rate"] != nil {
		t.Errorf("the rates of the keys are %v and %v, want %v and none", got, listed[1], want)
	}
	answer := r.report()
	if answer.Keys == nil || len(answer.Keys.Keys) != 2 {
		t.Fatalf("the satellite is told of %+v, want two keys", answer.Keys)
	}
	for _, k := range answer.Keys.Keys {
		if limited := k.Rate != nil && *k.Rate == (apiv1.KeyRate{PerSecond: .5, Burst: 3}); limited != (k.ID == created["id"]) || !limited && k.Rate != nil {
			t.Errorf("the satellite is told %+v of %s", k.Rate, k.Name)
		}
	}
	if got, want := answer.Keys.Digest, apiv1.KeysDigest(answer.Keys.Keys); got != want {
		t.Errorf("the digest of the keys is %s, want %s", got, want)
	}
	for body, field := range map[string]string{
		`{"per_second":-1}`: "rate.per_second", `{"per_second":1e7}`: "rate.per_second", `{"per_second":1,"burst":-1}`: "rate.burst",
		`{"per_second":0,"burst":5}`: "rate.burst", `{"per_second":1,"burst":2000000}`: "rate.burst",
		`{"per_second":1,"burst":1.5}`: "rate.burst", `{"per_second":1e999}`: "rate.per_second", `{"per_second":"5"}`: "rate.per_second",
	} {
		refused := w.call(w.admin, "POST", satellite+"/keys", `{"name":"x","rate":`+body+`}`).want(t, http.StatusUnprocessableEntity)
		if text := fmt.Sprint(refused); !strings.Contains(text, field) {
			t.Errorf("the rate %s is refused with %s, want it to name %s", body, text, field)
		}
	}
}

func TestARevokedKeyIsGoneWithTheNextHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	created := w.call(w.admin, "POST", satellite+"/keys", `{"name":"billing"}`).want(t, http.StatusCreated)
	answer := r.report()
	if answer.Keys == nil || len(answer.Keys.Keys) != 1 || answer.Keys.Keys[0].ID != created["id"] || len(answer.Keys.Keys[0].SHA256) != 64 {
		t.Fatalf("the keys are %+v, want the one of %v", answer.Keys, created)
	}
	if got, want := answer.Keys.Digest, apiv1.KeysDigest(answer.Keys.Keys); got != want {
		t.Fatalf("the digest of the keys is %s, want %s", got, want)
	}
	r.beat.KeysDigest, r.beat.KeysUsed = answer.Keys.Digest, []string{created["id"].(string), "nonsense", r.launchID}
	r.report()
	r.beat.KeysUsed = nil
	w.eventually("the key's last use", func() bool {
		keys := w.call(w.admin, "GET", satellite+"/keys", "").want(t, http.StatusOK)["results"].([]any)
		return keys[0].(map[string]any)["last_used_at"] != nil
	})
	for range 3 {
		if again := r.report(); again.Keys != nil {
			t.Fatalf("keys that are in force came again: %+v", again.Keys)
		}
	}
	w.call(w.admin, "DELETE", satellite+"/keys/"+created["id"].(string), "").want(t, http.StatusNoContent)
	begun, before := time.Now(), answer.AccessVersion
	w.eventually("the revocation", func() bool {
		answer = r.report()
		return answer.Keys != nil && len(answer.Keys.Keys) == 0
	})
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the revocation took %s to reach a heartbeat", took)
	}
	if before == 0 || answer.AccessVersion <= before {
		t.Errorf("the access version went from %d to %d with the revocation, want it to grow", before, answer.AccessVersion)
	}
	renewed := time.Now().Add(100 * 24 * time.Hour).UTC().Truncate(time.Second)
	w.call(w.admin, "PATCH", satellite, fmt.Sprintf(`{"expires_at":%q}`, renewed.Format(time.RFC3339))).want(t, http.StatusOK)
	w.eventually("the renewal", func() bool { return r.report().ExpiresAt.Equal(renewed) })
}

func TestHeartbeatTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite, other := w.satellite("Edge"), w.satellite("Other")
	launch := w.launch(satellite, "berlin")
	r, second := w.reporter(satellite, launch), w.reporter(other, w.launch(other, "paris"))
	r.beat.Sequence = 1
	_, err := r.client.Heartbeat(t.Context(), r.satelliteID, r.launchID, &r.beat)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("a heartbeat before the server runs is answered %v, want 503", err)
	}
	w.run()
	path, body := launch+"/heartbeat", mustJSON(t, r.beat)
	w.call("", "POST", path, body).refused(t, http.StatusUnauthorized, 2001, "", "API key is required")
	w.call(w.admin, "POST", path, body).refused(t, http.StatusUnauthorized, 2002, "", "launch token")
	if _, err := second.client.Heartbeat(t.Context(), r.satelliteID, r.launchID, &r.beat); !client.IsAuthentication(err) {
		t.Errorf("another launch's token is answered %v, want 401", err)
	}
	if _, err := r.client.Heartbeat(t.Context(), second.satelliteID, r.launchID, &r.beat); !client.IsNotFound(err) {
		t.Errorf("a launch under another satellite is answered %v, want 404", err)
	}
	if got := r.shown(); got.FirstSeenAt != nil {
		t.Errorf("a refused heartbeat made the launch seen: %+v", got)
	}
}

func TestBadHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	token := tokenOf(t, w, r)
	path := fmt.Sprintf("/v1/satellites/%s/launches/%s/heartbeat", r.satelliteID, r.launchID)
	good := `{"engine":"e","sequence":1,"satellite_version":1,"algorithms":[{"vanity_url":"foo/bar","wanted":1,"ready":1}],"engines":[],"a_newer_word":{"x":1.5}}`
	w.call(token, "POST", path, good).want(t, http.StatusOK)
	for _, test := range []struct {
		name, body, field, message string
		status                     int
	}{
		{"no body", "", "", "no body", 400},
		{"broken", `{"engine":`, "", "not valid JSON", 400},
		{"another type", `{"engine":5}`, "", "engine cannot be a number", 400},
		{"a list", `[]`, "", "it is a JSON object", 400},
		{"another case", `{"Engine":"e","sequence":1,"satellite_version":1}`, "Engine", "lower case: engine", 422},
		{"another case inside", `{"engine":"e","sequence":1,"satellite_version":1,"algorithms":[{"Vanity_URL":"a/b"}]}`, "algorithms[0].Vanity_URL", "lower case: vanity_url", 422},
		{"null", `null`, "engine", "1 to 200 characters", 422},
		{"an engine null", `{"engine":null,"sequence":1,"satellite_version":1}`, "engine", "1 to 200 characters", 422},
		{"a sequence null", `{"engine":"e","sequence":null,"satellite_version":1}`, "sequence", "starts at 1", 422},
		{"a field twice", `{"engine":"e","engine":"f","sequence":1,"satellite_version":1}`, "engine", "given twice", 422},
		{"no engine", `{"sequence":1,"satellite_version":1}`, "engine", "1 to 200 characters", 422},
		{"no sequence", `{"engine":"e","satellite_version":1}`, "sequence", "starts at 1", 422},
		{"no version", `{"engine":"e","sequence":1}`, "satellite_version", "start at 1", 422},
		{"negative", `{"engine":"e","sequence":1,"satellite_version":1,"algorithms":[{"vanity_url":"a/b","wanted":-1}]}`, "algorithms[0]", "from 0 to", 422},
		{"twice", `{"engine":"e","sequence":1,"satellite_version":1,"algorithms":[{"vanity_url":"a/b"},{"vanity_url":"a/b"}]}`, "algorithms[1].vanity_url", "there twice", 422},
		{"latency", `{"engine":"e","sequence":1,"satellite_version":1,"engines":[{"id":"e","counts":[{"vanity_url":"a/b","calls":1,"latency":[1]}]}]}`, "engines[0].counts", "latency has 1 numbers", 422},
		{"a huge count", `{"engine":"e","sequence":1,"satellite_version":1,"engines":[{"id":"e","counts":[{"vanity_url":"a/b","calls":9007199254740993}]}]}`, "engines[0].counts", "2^53", 422},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := map[int]int{400: 2013, 422: 6001}[test.status]
			if test.body == "" {
				code = 2015
			}
			w.call(token, "POST", path, test.body).refused(t, test.status, code, test.field, test.message)
		})
	}
	many := strings.Repeat(`{"id":"e"},`, 51)
	w.call(token, "POST", path, `{"engine":"e","sequence":1,"satellite_version":1,"engines":[`+strings.TrimSuffix(many, ",")+`]}`).refused(t, 422, 6001, "engines", "at most 50")
	// Text that a database would not take, and counts of what does not run.
	odd := `{"engine":"e\u0000","sequence":2,"satellite_version":1,"system_version":"\ufeff\u0000\u202e","algorithms":[{"vanity_url":"foo/bar","wanted":2,"ready":1,"reason":"\u0000\ud800` + strings.Repeat("x", 600) + `"}],` +
		`"engines":[{"id":"e\u0000","counts":[{"vanity_url":"foo/bar","calls":4},{"vanity_url":"not/there","calls":9}]}]}`
	w.call(token, "POST", path, odd).want(t, http.StatusOK)
	w.eventually("the odd heartbeat", func() bool { return r.shown().Report.Algorithms[0].Ever.Calls == 4 })
}

// tokenOf reads the token of a reporter's launch.
func tokenOf(t *testing.T, w *world, r *reporter) string {
	t.Helper()
	signed := w.call(w.operator, "GET", fmt.Sprintf("/v1/satellites/%s/launches/%s/plan", r.satelliteID, r.launchID), "").want(t, http.StatusOK)
	var plan bundle.Plan
	if err := json.Unmarshal([]byte(signed["plan"].(string)), &plan); err != nil {
		t.Fatal(err)
	}
	return plan.Launch.Token
}
