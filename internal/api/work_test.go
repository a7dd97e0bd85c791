package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// working is a launch that reports a queue with a dead letter.
func (w *world) working() *reporter {
	w.t.Helper()
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	at := time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)
	r.beat.Algorithms[0].Desired, r.beat.Algorithms[0].MinReplicas, r.beat.Algorithms[0].MaxReplicas = new(2), new(0), 5
	r.beat.Queue = &apiv1.HeartbeatQueue{
		State: "ok", Storage: "persistent", Used: 1 << 20, Limit: 1 << 33, Nodes: []apiv1.HeartbeatQueueNode{{Name: "queue-0", Ready: true}},
		Depth: 12, OldestSeconds: 4, Dead: 1, Lost: []apiv1.HeartbeatLoss{{At: at, Calls: 17}},
		Algorithms: []apiv1.HeartbeatQueueAlgorithm{{VanityURL: "foo/bar", Waiting: 11, Running: 1, Dead: 1}},
	}
	r.beat.Schedules = []apiv1.HeartbeatSchedule{{Name: "night", LastAt: &at, LastState: "succeeded", LastRequestID: "req-1", NextAt: &at, Missed: 2,
		Runs: []apiv1.HeartbeatRun{{At: at, State: "succeeded", RequestID: "req-1"}, {At: at.Add(-24 * time.Hour), State: "failed", RequestID: "req-0"}}}}
	r.beat.DeadLetters = []apiv1.HeartbeatDeadLetter{{RequestID: "req-9", VanityURL: "foo/bar", Reason: "the replica went away", Attempts: 5, At: at}}
	return r
}

// reportUntil reports until the launch has a status, and what it reported last is
// shown: one that takes two heartbeats in a row needs them stored one by one.
func (r *reporter) reportUntil(status string) {
	r.w.t.Helper()
	r.w.eventually("the status "+status, func() bool {
		r.report()
		launch := r.shown()
		return launch.Status == status && (launch.Report.Queue == nil) == (r.beat.Queue == nil)
	})
}

// TestWorkIsShown: what a launch reports of its queue, schedules and replicas is
// what its detail has.
func TestWorkIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.working()
	r.report()
	report := r.shown().Report
	if diff := cmp.Diff(r.beat.Queue, report.Queue); diff != "" {
		t.Errorf("queue (-reported +shown):\n%s", diff)
	}
	if diff := cmp.Diff(r.beat.Schedules, report.Schedules); diff != "" {
		t.Errorf("schedules (-reported +shown):\n%s", diff)
	}
	if diff := cmp.Diff(r.beat.DeadLetters, report.DeadLetters); diff != "" {
		t.Errorf("dead letters (-reported +shown):\n%s", diff)
	}
	if a := report.Algorithms[0]; a.Desired == nil || *a.Desired != 2 || a.MaxReplicas != 5 {
		t.Errorf("algorithm = %+v, want what its replicas follow", a)
	}
	r.beat.Queue.State, r.beat.Queue.Reason = "unreachable", "two of three nodes are away"
	r.reportUntil("degraded")
	r.becomes("degraded", "its queue takes no calls: two of three nodes are away")
	r.beat.Queue, r.beat.Schedules, r.beat.DeadLetters = nil, nil, nil // an engine that knows of none
	r.reportUntil("up")
	if report := r.shown().Report; report.Queue != nil || len(report.Schedules) != 0 || len(report.DeadLetters) != 0 {
		t.Errorf("report = %+v, want no work", report)
	}
}

// TestDeadLettersAreDecidedOn: what somebody asks for is told with the answer to
// the next heartbeat, until the launch says what became of it.
func TestDeadLettersAreDecidedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.working()
	path := fmt.Sprintf("/v1/satellites/%s/launches/%s/dead-letters", r.satelliteID, r.launchID)
	body := `{"action":"retry","request_ids":["req-9"]}`
	w.call(w.operator, "POST", path, body).refused(t, http.StatusConflict, apiv1.CodeNameTaken, "", "does not report")
	if answer := r.report(); len(answer.QueueCommands) != 0 {
		t.Errorf("the launch is asked for %v, want nothing", answer.QueueCommands)
	}
	for field, bad := range map[string]string{
		"action":         `{"action":"burn","request_ids":["req-9"]}`,
		"request_ids":    `{"action":"drop","request_ids":[]}`,
		"request_ids[0]": `{"action":"drop","request_ids":["../../x"]}`,
		"request_ids[1]": `{"action":"drop","request_ids":["req-9","req-9"]}`,
	} {
		w.call(w.operator, "POST", path, bad).refused(t, http.StatusUnprocessableEntity, apiv1.CodeValidationError, field, "")
	}
	made := w.call(w.operator, "POST", path, body).want(t, http.StatusCreated)
	if made["done_at"] != nil || made["created_by"] == "" {
		t.Errorf("POST dead-letters = %v, want it to wait", made)
	}
	w.call(w.operator, "POST", path, body).refused(t, http.StatusConflict, apiv1.CodeNameTaken, "", "waits for the launch's next heartbeat")
	id := made["id"].(string)
	want := []apiv1.HeartbeatCommand{{ID: id, Action: "retry", RequestIDs: []string{"req-9"}}}
	var answer *apiv1.HeartbeatAnswer
	w.eventually("the launch to be asked", func() bool { answer = r.report(); return len(answer.QueueCommands) > 0 })
	if diff := cmp.Diff(want, answer.QueueCommands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if again := r.report(); len(again.QueueCommands) != 1 {
		t.Errorf("a launch that did not say so is asked for %v, want it once more", again.QueueCommands)
	}
	r.beat.CommandsDone = []apiv1.HeartbeatCommandEnd{{ID: id, Done: 1}, {ID: "nonsense", Done: 1}, {ID: "00000000-0000-4000-8000-000000000000", Done: 1}}
	if told := r.report(); len(told.QueueCommands) != 0 {
		t.Errorf("a launch that says what became of it is asked for %v, want nothing", told.QueueCommands)
	}
	r.beat.CommandsDone = nil
	w.eventually("what became of it to be shown", func() bool {
		commands := r.shown().Report.Commands
		return len(commands) == 1 && commands[0].DoneAt != nil && commands[0].Done == 1
	})
	w.eventually("it to be asked for no more", func() bool { return len(r.report().QueueCommands) == 0 })
	events := w.call(w.admin, "GET", "/v1/events?action=launch.retry_dead_letters&expand=changes", "")
	if events.want(t, http.StatusOK); !strings.Contains(string(events.body), "req-9") {
		t.Errorf("the audit log has %s, want the decision", events.body)
	}
}

// TestCommandsOfAnotherLaunch: a launch ends its own commands alone.
func TestCommandsOfAnotherLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.working()
	r.report()
	second := w.satellite("Other")
	other := w.reporter(second, w.launch(second, "other"))
	path := fmt.Sprintf("/v1/satellites/%s/launches/%s/dead-letters", r.satelliteID, r.launchID)
	id := w.call(w.operator, "POST", path, `{"action":"drop","request_ids":["req-9"]}`).want(t, http.StatusCreated)["id"].(string)
	other.beat.CommandsDone = []apiv1.HeartbeatCommandEnd{{ID: id, Done: 1}}
	other.report() // the first of a launch is stored when it is answered
	if commands := r.shown().Report.Commands; len(commands) != 1 || commands[0].DoneAt != nil {
		t.Errorf("commands = %+v, want the one to wait still", commands)
	}
}

// TestWorkThatBreaksARule: each number and name is held to its rule before
// anything is stored.
func TestWorkThatBreaksARule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.working()
	path := fmt.Sprintf("/v1/satellites/%s/launches/%s/heartbeat", r.satelliteID, r.launchID)
	letters := strings.TrimSuffix(strings.Repeat(`{"request_id":"req-1","vanity_url":"foo/bar","at":"2026-01-01T00:00:00Z"},`, 101), ",")
	for _, test := range []struct{ field, body string }{
		{"queue.state", `"queue":{}`},
		{"queue", `"queue":{"state":"ok","depth":-1}`},
		{"queue.lost[0]", `"queue":{"state":"ok","lost":[{"at":"2026-01-01T00:00:00Z","calls":-1}]}`},
		{"queue.lost[0].at", `"queue":{"state":"ok","lost":[{"at":"9999-12-31T23:59:59-12:00","calls":1}]}`},
		{"queue.nodes[0].name", `"queue":{"state":"ok","nodes":[{"name":"a\nb"}]}`},
		{"queue.algorithms[0]", `"queue":{"state":"ok","algorithms":[{"vanity_url":"foo/bar","waiting":9223372036854775807}]}`},
		{"dead_letters", `"dead_letters":[` + letters + `]`},
		{"dead_letters[0].request_id", `"dead_letters":[{"request_id":"a b","vanity_url":"foo/bar","at":"2026-01-01T00:00:00Z"}]`},
		{"schedules[0].name", `"schedules":[{"name":""}]`},
		{"schedules[0].runs", `"schedules":[{"name":"a","runs":[` + strings.Repeat(`{"at":"2026-01-01T00:00:00Z"},`, 10) + `{"at":"2026-01-01T00:00:00Z"}]}]`},
		{"schedules[0].runs[0].at", `"schedules":[{"name":"a","runs":[{"at":"9999-12-31T23:59:59-12:00"}]}]`},
		{"commands_done[0]", `"commands_done":[{"id":"x","done":-1}]`},
	} {
		body := `{"engine":"engine-1","sequence":1,"satellite_version":1,"algorithms":[],"engines":[],` + test.body + `}`
		w.call(r.token, "POST", path, body).refused(t, http.StatusUnprocessableEntity, apiv1.CodeValidationError, test.field, "")
	}
	// A word of a newer engine is taken.
	r.beat.Queue.State = "resting"
	r.report()
	r.report()
	r.becomes("degraded", "its queue is resting")
}
