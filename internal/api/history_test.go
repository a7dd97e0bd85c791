package api

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	users := client.New(w.server.URL, w.viewer, w.server.Client())
	history := func(resolution, vanity string) *apiv1.LaunchHistory {
		t.Helper()
		h, err := users.LaunchHistory(t.Context(), r.satelliteID, r.launchID, resolution, vanity)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := history("5m", ""); len(h.Points) != 0 || h.ResolutionSeconds != 300 {
		t.Errorf("the history of a launch that never reported is %+v", h)
	}
	// Two heartbeats in each of four stretches of five minutes, with a gap
	// before the last.
	align := 300 - time.Now().Unix()%300
	var calls int64
	for i, minutes := range []int64{0, 5, 10, 25} {
		for j := range int64(2) {
			w.clock.Store(align + minutes*60 + j*30)
			calls += int64(i + 1)
			r.beat.Algorithms[0].Ready = 2 - int(j)
			r.counts(calls, map[string]int64{"timeout": calls / 2})
			r.report()
			w.eventually("the heartbeat", func() bool { return r.shown().Report.Algorithms[0].Ever.Calls == calls })
		}
	}
	h := history("5m", "")
	var got []string
	for _, p := range h.Points {
		got = append(got, fmt.Sprintf("%d: %d heartbeats, %d/%d, %d calls, p50 %g", p.At.Unix()-h.Points[0].At.Unix(), p.Heartbeats, p.Ready, p.Wanted, p.Calls, p.P50))
	}
	want := []string{
		"0: 2 heartbeats, 1/2, 2 calls, p50 0.0075", "300: 2 heartbeats, 1/2, 4 calls, p50 0.0075",
		"600: 2 heartbeats, 1/2, 6 calls, p50 0.0075", "1500: 2 heartbeats, 1/2, 8 calls, p50 0.0075",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(h.Points, history("5m", "foo/bar").Points); diff != "" {
		t.Errorf("the history of the only algorithm differs from that of all:\n%s", diff)
	}
	if got := history("5m", "not/there").Points; len(got) != 0 {
		t.Errorf("the history of an algorithm that is not there is %v", got)
	}
	for _, resolution := range []string{"1h", "1d"} {
		var sum int64
		for _, p := range history(resolution, "").Points {
			sum += p.Calls
		}
		if sum != calls {
			t.Errorf("the %s history has %d calls, want %d", resolution, sum, calls)
		}
	}
	// A day later the ring holds nothing of today.
	w.clock.Store(align + 25*60 + 25*3600)
	if got := history("5m", "").Points; len(got) != 0 {
		t.Errorf("after a day the history has %v", got)
	}
	w.call(w.viewer, "GET", fmt.Sprintf("/v1/satellites/%s/launches/%s/history?resolution=2h", r.satelliteID, r.launchID), "").
		refused(t, http.StatusBadRequest, 2015, "resolution", "5m, 1h, 1d")
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	w.run()
	r := w.reporter(satellite, launch)
	changes := w.control.Changes(t.Context())
	expect := func(kind, id, satelliteID string) {
		t.Helper()
		deadline := time.After(2 * time.Minute)
		for {
			select {
			case c := <-changes:
				if c.Kind == kind && c.ID == id && c.SatelliteID == satelliteID {
					return
				}
			case <-deadline:
				t.Fatalf("no change of the %s %s was told", kind, id)
			}
		}
	}
	w.eventually("listening", w.control.Listening)
	r.report()
	expect("launch", r.launchID, r.satelliteID)
	w.call(w.admin, "PATCH", satellite, `{"name":"Other"}`).want(t, http.StatusOK)
	expect("satellite", r.satelliteID, r.satelliteID)
	key := w.call(w.admin, "POST", satellite+"/keys", `{"name":"billing"}`).want(t, http.StatusCreated)
	expect("satellite_key", key["id"].(string), r.satelliteID)
	w.clock.Store(3600)
	expect("launch", r.launchID, r.satelliteID)
	w.call(w.operator, "DELETE", launch, "").want(t, http.StatusNoContent)
	expect("launch", r.launchID, r.satelliteID)
}

func TestWireAndDomainAgree(t *testing.T) {
	t.Parallel()
	if !slices.Equal(apiv1.LatencyBounds, constellation.LatencyBounds) {
		t.Error("apiv1.LatencyBounds and constellation.LatencyBounds differ")
	}
	at := time.Now()
	keys := []constellation.SatelliteKey{{ID: "b", SHA256: "2", ExpiresAt: &at}, {ID: "a", SHA256: "1", Algorithms: []string{"foo/bar", "a/b"}}}
	digests := map[string]bool{}
	for _, rate := range []constellation.KeyRate{{}, {PerSecond: .5}, {PerSecond: 100}, {PerSecond: 100, Burst: 7}} {
		keys[0].Rate = rate
		wire := []apiv1.HeartbeatKey{wireHeartbeatKey(keys[1]), wireHeartbeatKey(keys[0])}
		got, want := apiv1.KeysDigest(wire), constellation.KeysDigest(keys)
		if got != want {
			t.Errorf("with the rate %+v apiv1.KeysDigest = %s, constellation.KeysDigest = %s", rate, got, want)
		}
		digests[got] = true
	}
	if len(digests) != 4 {
		t.Errorf("four rates have %d digests, want one each", len(digests))
	}
}
