package engine

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestRunnerAnswersAsASynchronousCall(t *testing.T) {
	s := newStrict(t, func(c lsCall) (int, string) {
		if string(c.body) == "raise" {
			return 200, `{"error":{"message":"no","error_type":"ValueError"},"metadata":{"duration":1}}`
		}
		return 200, `{"result":"` + string(c.body) + " " + c.requestID + `","metadata":{"content_type":"text","duration":1}}`
	})
	api := httpReplica(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Header.Get("Traceparent"))) })
	e := startEngine(t, lsRoute("foo/bar", s.addr), httpRoute("foo/api", api))
	const trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	for _, test := range []struct {
		name   string
		in     async.Input
		status int
		ended  protocol.Outcome
		retry  bool
		body   string
	}{
		{"result", async.Input{RequestID: "req-1", VanityURL: "foo/bar", ContentType: "text/plain", Body: []byte("Neo")}, 200, protocol.OutcomeOK, false, `{"result":"Neo req-1","metadata":{"content_type":"text","duration":1}}`},
		{"void", async.Input{RequestID: "req-1", VanityURL: "foo/bar", ContentType: "text/plain", Query: "output=void&timeout=9", Body: []byte("Neo")}, 200, protocol.OutcomeOK, false, `{"result":"Neo req-1",`},
		{"raised", async.Input{VanityURL: "foo/bar", ContentType: "text/plain", Body: []byte("raise")}, 200, protocol.OutcomeError, false, `{"error":{"message":"no","error_type":"ValueError"},"metadata":{"duration":1}}`},
		{"trace", async.Input{VanityURL: "foo/api", ContentType: "text/plain", Traceparent: trace, Query: "output=raw"}, 200, protocol.OutcomeOK, false, "00-0123456789abcdef0123456789abcdef-"},
		{"odd type", async.Input{VanityURL: "foo/bar", ContentType: "image/png"}, 415, protocol.OutcomeRefused, false, `{"error":{"message":"the Content-Type is`},
		{"no algorithm", async.Input{VanityURL: "foo/none", ContentType: "text/plain"}, 404, protocol.OutcomeRefused, false, `{"error":{"message":"algorithm foo/none not found"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := e.Runner().Run(t.Context(), test.in)
			defer out.Release()
			if out.Status != test.status || out.Ended != test.ended || out.Retry != test.retry || !strings.HasPrefix(string(out.Body), test.body) {
				t.Errorf("Run = %d %v %v %s, want %d %v %v %s…", out.Status, out.Ended, out.Retry, out.Body, test.status, test.ended, test.retry, test.body)
			}
		})
	}
	if state := e.table.Load().ByVanityURL["foo/bar"].Pool.State(); state.InFlight != 0 {
		t.Errorf("%d slots are held after all runs", state.InFlight)
	}
}

func TestRunnerTellsWhatIsWorthAnotherRun(t *testing.T) {
	lost := httpReplica(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	e := startEngine(t, httpRoute("foo/lost", lost))
	out := e.Runner().Run(t.Context(), async.Input{VanityURL: "foo/lost", ContentType: "text/plain"})
	defer out.Release()
	if !out.Retry || out.Ended != protocol.OutcomeLost || out.Cause == "" {
		t.Errorf("Run on a replica that goes = %+v, want one worth another run, with its cause", out)
	}
}

func TestRunIsCut(t *testing.T) {
	for _, test := range []struct {
		name    string
		cause   error
		deleted int
	}{
		{"cancelled", async.ErrCancelled, 1},
		{"engine stops", async.ErrStopping, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			entered, leave := make(chan bool, 1), make(chan bool)
			s := newStrict(t, func(lsCall) (int, string) {
				entered <- true
				waittest.Hold(t, leave)
				return 200, `{"result":null}`
			})
			defer close(leave)
			e := startEngine(t, lsRoute("foo/bar", s.addr))
			ctx, cut := context.WithCancelCause(t.Context())
			done := make(chan async.Outcome, 1)
			go func() {
				done <- e.Runner().Run(ctx, async.Input{VanityURL: "foo/bar", ContentType: "text/plain"})
			}()
			waittest.Receive(t, "the call reaches its replica", entered)
			cut(test.cause)
			if out := waittest.Receive(t, "the outcome", done); out.Ended != protocol.OutcomeCanceled {
				t.Errorf("Run = %+v, want it canceled", out)
			}
			eventually(t, "the replica is ended, if at all", func() bool { return s.count(&s.deleted) == test.deleted })
		})
	}
}
