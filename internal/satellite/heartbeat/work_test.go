package heartbeat

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// someWork is a state, and what was asked for.
type someWork struct {
	state WorkState
	asked []apiv1.HeartbeatCommand
	err   error
}

func (w *someWork) State(context.Context) WorkState { return w.state }

func (w *someWork) Do(_ context.Context, c apiv1.HeartbeatCommand) (int, error) {
	w.asked = append(w.asked, c)
	return len(c.RequestIDs), w.err
}

func TestWorkIsReported(t *testing.T) {
	t.Parallel()
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{NextSeconds: 45, SatelliteVersion: 3})}
	server := httptest.NewServer(m)
	defer server.Close()
	e := engineNamed("one", server.URL)
	e.report.Algorithms = []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 2, Reason: "none is ready"}, {VanityURL: "foo/fixed", Wanted: 2, Ready: 2}}
	letters := make([]apiv1.HeartbeatDeadLetter, maxDeadLetters+1)
	for i := range letters {
		letters[i] = apiv1.HeartbeatDeadLetter{RequestID: "req-1", Reason: strings.Repeat("é", maxWords+1)}
	}
	work := &someWork{state: WorkState{
		Queue:       &apiv1.HeartbeatQueue{State: "degraded", Reason: strings.Repeat("x", maxWords+1), Depth: 3, Lost: make([]apiv1.HeartbeatLoss, maxLosses+1)},
		Schedules:   []apiv1.HeartbeatSchedule{{Name: "night"}},
		DeadLetters: letters, Scales: map[string]Scale{"foo/bar": {Desired: 0, Min: 0, Max: 5}},
	}}
	s := New(Options{Engine: e, Token: "cst_token", Version: "v1", Registry: prometheus.NewRegistry(), Work: work})
	s.beat(t.Context())
	beat := m.beats[0]
	if q := beat.Queue; q == nil || q.Depth != 3 || len(q.Reason) != maxWords || len(q.Lost) != maxLosses {
		t.Errorf("queue = %+v, want it within its bounds", q)
	}
	if len(beat.DeadLetters) != maxDeadLetters || len([]rune(beat.DeadLetters[0].Reason)) != maxWords || len(beat.Schedules) != 1 {
		t.Errorf("%d dead letters and %d schedules, want %d within their bounds and 1", len(beat.DeadLetters), len(beat.Schedules), maxDeadLetters)
	}
	want := []apiv1.HeartbeatAlgorithm{
		{VanityURL: "foo/bar", Desired: new(0), MinReplicas: new(0), MaxReplicas: 5}, // scaled to none lacks nothing
		{VanityURL: "foo/fixed", Wanted: 2, Ready: 2},
	}
	if diff := cmp.Diff(want, beat.Algorithms); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	if len([]rune(letters[0].Reason)) != maxWords+1 {
		t.Error("the engine's own state was changed")
	}
}

// TestCommandsAreDoneOnceAndTold: what the mothership asks for is done, told in
// the next heartbeat and each one until a heartbeat was answered, and done no
// second time when it is asked for again.
func TestCommandsAreDoneOnceAndTold(t *testing.T) {
	t.Parallel()
	retry := apiv1.HeartbeatCommand{ID: "c1", Action: apiv1.QueueRetry, RequestIDs: []string{"req-1", "req-2"}}
	odd := apiv1.HeartbeatCommand{ID: "c2", Action: "burn", RequestIDs: []string{"req-1"}}
	asks := says(apiv1.HeartbeatAnswer{NextSeconds: 45, SatelliteVersion: 3, QueueCommands: []apiv1.HeartbeatCommand{retry, odd}})
	m := &mothership{answer: asks}
	server := httptest.NewServer(m)
	defer server.Close()
	work := &someWork{err: errors.New("1 of 2 is no dead letter any more")}
	s := New(Options{Engine: engineNamed("one", server.URL), Token: "cst_token", Version: "v1", Registry: prometheus.NewRegistry(), Work: work})
	if next := s.beat(t.Context()); next > commandInterval {
		t.Errorf("after a command the next heartbeat comes in %v, want soon", next)
	}
	m.answer = func(w http.ResponseWriter, _ apiv1.Heartbeat) { http.Error(w, "away", http.StatusServiceUnavailable) }
	s.beat(t.Context())
	m.answer = asks
	s.beat(t.Context())
	m.answer = says(apiv1.HeartbeatAnswer{NextSeconds: 45, SatelliteVersion: 3})
	s.beat(t.Context())
	if next := s.beat(t.Context()); next != 45*time.Second {
		t.Errorf("next = %v, want the 45 s it was told", next)
	}
	if diff := cmp.Diff([]apiv1.HeartbeatCommand{retry}, work.asked); diff != "" {
		t.Errorf("commands done (-want +got):\n%s", diff)
	}
	ends := []apiv1.HeartbeatCommandEnd{{ID: "c1", Done: 2, Error: "1 of 2 is no dead letter any more"}, {ID: "c2", Error: "this satellite's engine is older than the command, and does not know it"}}
	for i, want := range [][]apiv1.HeartbeatCommandEnd{nil, ends, ends, ends, nil} {
		if diff := cmp.Diff(want, m.beats[i].CommandsDone); diff != "" {
			t.Errorf("heartbeat %d tells (-want +got):\n%s", i+1, diff)
		}
	}
}

// TestCommandsWithoutAQueue: they are told to be of no use, rather than asked for
// for ever.
func TestCommandsWithoutAQueue(t *testing.T) {
	t.Parallel()
	m := &mothership{answer: says(apiv1.HeartbeatAnswer{SatelliteVersion: 3, QueueCommands: []apiv1.HeartbeatCommand{{ID: "c1", Action: apiv1.QueueDrop}}})}
	server := httptest.NewServer(m)
	defer server.Close()
	s := New(Options{Engine: engineNamed("one", server.URL), Token: "cst_token", Version: "v1", Registry: prometheus.NewRegistry()})
	s.beat(t.Context())
	s.beat(t.Context())
	if got := m.beats[1].CommandsDone; len(got) != 1 || got[0].Error == "" || m.beats[1].Queue != nil {
		t.Errorf("heartbeat 2 tells %+v, want that there is no queue", got)
	}
}
