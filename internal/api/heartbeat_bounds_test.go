package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestNumbersThatNothingHoldsAreRefused: each number of a heartbeat is bounded
// before anything is stored, and the next heartbeat is taken as ever.
func TestNumbersThatNothingHoldsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	path := fmt.Sprintf("/v1/satellites/%s/launches/%s/heartbeat", r.satelliteID, r.launchID)
	many := strings.Repeat(`{"vanity_url":"foo/%d","wanted":1000000,"ready":1000000},`, 5000)
	numbers := make([]any, 5000)
	for i := range numbers {
		numbers[i] = i
	}
	for field, body := range map[string]string{
		"satellite_version":        `"satellite_version":3000000000,"algorithms":[],"engines":[]`,
		"algorithms":               `"satellite_version":1,"engines":[],"algorithms":[` + strings.TrimSuffix(fmt.Sprintf(many, numbers...), ",") + `]`,
		"algorithms[0]":            `"satellite_version":1,"algorithms":[{"vanity_url":"foo/bar","wanted":3000000000,"ready":0}],"engines":[]`,
		"algorithms[0].vanity_url": `"satellite_version":1,"algorithms":[{"vanity_url":"` + strings.Repeat("x", 300) + `"}],"engines":[]`,
		"engines[0].started_at":    `"satellite_version":1,"algorithms":[],"engines":[{"id":"e","started_at":"9999-12-31T23:59:59-12:00","counts":[]}]`,
		"engines[0].counts":        `"satellite_version":1,"algorithms":[],"engines":[{"id":"e","started_at":"2026-01-01T00:00:00Z","counts":[{"vanity_url":"foo/bar","calls":9223372036854775807}]}]`,
		"engines[1].counts":        `"satellite_version":1,"algorithms":[],"engines":[{"id":"e","started_at":"2026-01-01T00:00:00Z","counts":[]},{"id":"f","started_at":"2026-01-01T00:00:00Z","counts":[{"vanity_url":"foo/bar","errors":{"a\u0000b":1}}]}]`,
		"sequence":                 `"sequence":-1,"satellite_version":1,"algorithms":[],"engines":[]`,
	} {
		if field != "sequence" {
			body = `"sequence":1,` + body
		}
		w.call(r.token, "POST", path, `{"engine":"engine-1",`+body+`}`).refused(t, http.StatusUnprocessableEntity, apiv1.CodeValidationError, field, "")
	}
	r.beat.KeysUsed = []string{"urn:uuid:00000000-0000-0000-0000-000000000000", "nonsense", "{00000000-0000-0000-0000-000000000000}"}
	r.report()
	r.becomes("up", "all 2 replicas are ready")
}

// TestCountsStopAtTheirBound: totals of many engines do not wrap.
func TestCountsStopAtTheirBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	for i := range 40 {
		r.counts(1<<53, map[string]int64{"timeout": 1 << 53})
		for len(r.beat.Engines) < 50 { // 50 engines, 40 times: 2000 times 2^53
			r.beat.Engines = append(r.beat.Engines, r.beat.Engines[0])
		}
		for j := range r.beat.Engines {
			r.beat.Engines[j].ID = fmt.Sprintf("engine-%d-%d", i, j)
		}
		r.report()
	}
	w.eventually("the last heartbeat", func() bool {
		report := r.shown().Report
		return report != nil && report.Engines[len(report.Engines)-1].ID[:9] == "engine-39"
	})
	if got := r.shown().Report.Algorithms[0].Ever; got.Calls != 1<<53 || got.Errors != 1<<53 {
		t.Errorf("the totals are %d calls and %d errors, want both at their bound of 2^53", got.Calls, got.Errors)
	}
}

// TestOneBadRowStopsNoSweep: what is kept of one launch cannot be read, so
// that each of its heartbeats fails to be stored. It is told, and the other
// launch is stale when it goes silent.
func TestOneBadRowStopsNoSweep(t *testing.T) {
	t.Parallel()
	var log waittest.Buffer
	w := newWorld(t, func(o *control.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	first, second := w.satellite("Broken"), w.satellite("Silent")
	stop := w.run()
	broken, silent := w.reporter(first, w.launch(first, "broken")), w.reporter(second, w.launch(second, "silent"))
	broken.report()
	silent.report()
	silent.becomes("up", "")
	stop()
	db, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), `UPDATE launch_reports SET state = '{"sequence":"none"}' WHERE launch_id = $1`, broken.launchID); err != nil {
		t.Fatal(err)
	}
	w.run()
	broken.beat.Sequence++
	if _, err := broken.client.Heartbeat(t.Context(), broken.satelliteID, broken.launchID, &broken.beat); err != nil {
		t.Fatalf("a heartbeat that nobody waits for: %v", err)
	}
	w.eventually("the log to name the launch", func() bool { return strings.Contains(log.String(), broken.launchID) })
	w.clock.Store(120)
	silent.becomes("stale", "no heartbeat for")
	broken.beat.Sequence++
	if _, err := broken.client.Heartbeat(t.Context(), broken.satelliteID, broken.launchID, &broken.beat); err == nil || !strings.Contains(err.Error(), "answered 500") {
		t.Errorf("the next heartbeat of the launch that cannot be stored = %v, want 500", err)
	}
}

// TestMoreHeartbeatsThanCanBeStored: what is more than waits already is told to come
// again, not all at once; the others are answered once they are stored.
func TestMoreHeartbeatsThanCanBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	db, err := pgx.Connect(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	// No heartbeat is stored until then.
	const lock = "(hashtextextended('launch reports', 0))"
	if _, err := db.Exec(t.Context(), "SELECT pg_advisory_lock"+lock); err != nil {
		t.Fatal(err)
	}
	var stored, told atomic.Int64
	var all sync.WaitGroup
	for n := range maxHeartbeats + 10 {
		all.Go(func() {
			status, seconds, err := r.raw(n + 1)
			switch {
			case err == nil && status == http.StatusOK:
				stored.Add(1)
			case err == nil && status == http.StatusTooManyRequests && seconds >= 5 && seconds <= 15:
				told.Add(1)
			default:
				t.Errorf("heartbeat %d = %d, to be sent again in %d s, %v", n, status, seconds, err)
			}
		})
	}
	w.eventually("too many to be told to come again", func() bool { return told.Load() == 10 })
	if n := stored.Load(); n != 0 {
		t.Errorf("%d were answered that are not stored", n)
	}
	if _, err := db.Exec(t.Context(), "SELECT pg_advisory_unlock"+lock); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if n := stored.Load(); n != maxHeartbeats {
		t.Errorf("%d of %d were stored", n, maxHeartbeats)
	}
	r.beat.Sequence = maxHeartbeats + 10
	r.report()
}

// raw sends a heartbeat, and returns the answer's status and its Retry-After.
func (r *reporter) raw(sequence int) (status, seconds int, err error) {
	body := fmt.Sprintf(`{"engine":"engine-1","sequence":%d,"satellite_version":1,"system_version":"v1","algorithms":[],"engines":[]}`, sequence)
	url := fmt.Sprintf("%s/v1/satellites/%s/launches/%s/heartbeat", r.w.server.URL, r.satelliteID, r.launchID)
	request, err := http.NewRequestWithContext(r.w.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	response, err := r.w.server.Client().Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	if again := response.Header.Get("Retry-After"); again != "" {
		seconds, err = strconv.Atoi(again)
	}
	return response.StatusCode, seconds, err
}
