package admin

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// beat reports for a launch, and waits until it is stored: it is the launch's
// first report.
func (w *world) beat(s *constellation.Satellite, l *constellation.Launch, work constellation.WorkState) {
	w.t.Helper()
	running, stop := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.control.Run(running) })
	defer done.Wait()
	defer stop()
	for deadline := time.Now().Add(time.Minute); !w.control.Running(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("waited a minute for the server to run")
		}
	}
	sealer, err := auth.NewSealer(make([]byte, 32)) // as newWorldOn has it
	if err != nil {
		w.t.Fatal(err)
	}
	sealed, err := w.db.LaunchToken(w.t.Context(), l.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := sealer.Open("launches/"+l.ID+"/token", sealed)
	if err != nil {
		w.t.Fatal(err)
	}
	reporter, err := w.control.AuthenticateLaunch(w.t.Context(), s.ID, l.ID, string(token))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.control.Heartbeat(w.t.Context(), reporter, &constellation.Heartbeat{
		Engine: "engine-1", Sequence: 1, SatelliteVersion: 1, Work: work,
		Algorithms: []constellation.AlgorithmState{{VanityURL: "foo/bar", Wanted: 2, Ready: 2, Desired: new(2), MinReplicas: new(0), MaxReplicas: 5}},
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestDeadLettersWithoutScript: the sheet shows queue, losses and schedules; dead
// letters are found, ordered, and retried or dropped after a question, by who
// may, and what was asked is shown to wait.
func TestDeadLettersWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	grace, linus := w.visitor("grace", constellation.RoleOperator), w.visitor("linus", constellation.RoleViewer)
	s := w.satellite("Edge")
	l, err := w.control.CreateLaunch(t.Context(), control.Shell(), s.ID, control.NewLaunch{Name: "Line 1"})
	if err != nil {
		t.Fatal(err)
	}
	view := func(target string, who *http.Cookie) string { return html.UnescapeString(w.raw(target, who)) }
	sheet := "/satellites/" + s.ID + "/launches/" + l.ID
	wantIn(t, view(sheet+"/dead-letters", grace), "No dead letters", "does not report, so it cannot be asked from here")
	at := time.Now().Add(-time.Hour)
	w.beat(s, l, constellation.WorkState{
		Queue: &constellation.QueueState{
			State: "degraded", Reason: "queue-2 is away", Storage: "ephemeral", Depth: 12, OldestSeconds: 240, Dead: 340, Used: 1 << 20, Limit: 1 << 30,
			Nodes: []constellation.QueueNode{{Name: "queue-0", Ready: true}, {Name: "queue-1", Ready: true}, {Name: "queue-2"}},
			Lost:  []constellation.QueueLoss{{At: at, Calls: 17}}, Algorithms: []constellation.QueueAlgorithm{{VanityURL: "foo/bar", Waiting: 11, Running: 1, Dead: 2}},
		},
		Schedules: []constellation.ScheduleState{{Name: "night", LastAt: &at, LastState: "failed", LastRequestID: "req-night", NextAt: &at, Missed: 3,
			Runs: []constellation.ScheduleRun{{At: at, State: "failed", RequestID: "req-night"}, {At: at.Add(-time.Hour), State: "succeeded"}, {At: at.Add(-2 * time.Hour), State: "dead"}}}},
		DeadLetters: []constellation.DeadLetter{{RequestID: "req-1", VanityURL: "foo/bar", Reason: "the replica went away", Attempts: 5, At: at}, {RequestID: "req-2", VanityURL: "foo/baz", Attempts: 2, At: at.Add(time.Minute)}},
	})
	wantIn(t, view(sheet, linus), "Queue lost: 17 accepted calls unaccounted for", "It keeps calls in its pods alone", "Degraded", "Queue-2 is away.", "2 of 3", "340", "night", "Failed", "req-night", "Before: succeeded, given up.", "0 to 5 with the load")
	list := view(sheet+"/dead-letters", grace)
	wantIn(t, list, "req-1", "The replica went away.", "These are the newest 2 of 340", "Retry the chosen calls", `value="req-2"`)
	if strings.Index(list, "req-2") > strings.Index(list, "req-1") {
		t.Error("the newest is not the first")
	}
	if ordered := view(sheet+"/dead-letters?sort=request", grace); strings.Index(ordered, "req-2") < strings.Index(ordered, "req-1") {
		t.Error("by request, req-1 is not the first")
	}
	if found := view(sheet+"/dead-letters?q=baz", grace); strings.Contains(found, "req-1") || !strings.Contains(found, "req-2") {
		t.Error("a search for baz does not find req-2 alone")
	}
	wantIn(t, view(sheet+"/dead-letters?q=nothing", grace), "No dead letter matches")
	if viewed := view(sheet+"/dead-letters", linus); strings.Contains(viewed, "Retry the chosen calls") {
		t.Error("a viewer is offered to retry")
	}
	wantIn(t, view(sheet+"/dead-letters/decide?action=retry", grace), "Choose the calls first")
	wantIn(t, view(sheet+"/dead-letters/decide?action=drop&id=req-2", grace), "Drop 1 call?", "What goes", "for good", "req-2")
	ask := w.raw(sheet+"/dead-letters/decide?action=retry&id=req-1", grace)
	wantIn(t, html.UnescapeString(ask), "Retry 1 call?", "once more, with the same request id", "next heartbeat")
	status, location, _ := w.submit(sheet+"/dead-letters/decide", fields(ask), grace)
	if status != http.StatusSeeOther || location != sheet+"/dead-letters" {
		t.Fatalf("retrying: %d %s", status, location)
	}
	wantIn(t, view(location, grace), "grace asked to retry it; waits for the next heartbeat.", "Waits for the launch's next heartbeat.")
	wantIn(t, view(sheet, linus), "1 decision waiting for the next heartbeat")
	again := with(fields(w.raw(sheet+"/dead-letters/decide?action=drop&id=req-1", grace)), "action", "drop", "id", "req-1")
	status, _, body := w.submit(sheet+"/dead-letters/decide", again, grace)
	if status != http.StatusConflict {
		t.Errorf("deciding twice: %d, want 409", status)
	}
	wantIn(t, body, "grace asked to retry it, and that waits")
	if status, _, _ = w.submit(sheet+"/dead-letters/decide", url.Values{"token": {"x"}, "action": {"drop"}, "id": {"req-2"}}, linus); status != http.StatusForbidden {
		t.Errorf("a viewer who drops: %d, want 403", status)
	}
}
