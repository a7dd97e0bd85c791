package batch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

func TestLinesComeOutInOrder(t *testing.T) {
	var first sync.WaitGroup
	first.Add(4)
	var calls atomic.Int64
	rep := startReplicas(t, 4, func(_ *http.Request, body []byte) (int, string) {
		if calls.Add(1) <= 4 { // which are all there is room for
			first.Done()
			first.Wait()
		}
		return 200, string(body)
	})
	e := startEngine(t, startNode(t), rep, nil)
	const n = 2000
	s := e.post(strings.NewReader(numbered(1, n)), "")
	if s.Total == nil || *s.Total != n {
		t.Fatalf("the upload is answered with %+v, want a total of %d", s, n)
	}
	s = e.await(s.ID, StateCompleted)
	if s.Done != n || s.Failed != 0 || s.Rate <= 0 || s.FinishedAt.IsZero() {
		t.Errorf("the batch ends as %+v", s)
	}
	checkWhole(t, e.output(s.ID+"/results"), n)
	if got := e.output(s.ID + "/errors"); len(got) != 0 {
		t.Errorf("the batch has %d errors, want none", len(got))
	}
	if most := rep.most.Load(); most != 4 {
		t.Errorf("%d calls ran at once, want 4", most)
	}
	if runs := rep.runs.Load(); runs != n {
		t.Errorf("%d lines ran %d times", n, runs)
	}
}

func TestABadLineFailsAlone(t *testing.T) {
	rep := startReplicas(t, 2, func(_ *http.Request, body []byte) (int, string) {
		if string(body) == `"raise"` {
			return 500, "the algorithm raised"
		}
		return 200, string(body)
	})
	e := startEngine(t, startNode(t), rep, nil)
	lines := []string{
		`{"custom_id":"a","body":1}`,
		`{"custom_id":"b","body":`,
		``,
		`  {"custom_id": "a", "body": 2}` + "\r",
		`{"custom_id":5,"body":3}`,
		`"raise"`,
		`"` + strings.Repeat("x", 11<<20) + `"`,
		`{"custom_id":"c","body":4,"more":5}`,
		`"` + strings.Repeat("y", 2<<20) + `"`,
		`null`,
	}
	s := e.post(strings.NewReader(strings.Join(lines, "\n")), "")
	s = e.await(s.ID, StateCompleted)
	if s.Done != 4 || s.Failed != 5 || *s.Total != 9 || s.Lines != 10 {
		t.Errorf("the batch ends as %+v, want 4 done, 5 failed of 9 on 10 lines", s)
	}
	want := map[int64]string{
		1: `a 1`, 2: "- the line is not JSON", 4: "a an earlier line has this custom_id already", 5: "- custom_id is not a string of at most 510 bytes",
		6: "- the algorithm raised", 7: "- the line is longer than 10 MiB", 8: `- {"custom_id":"c","body":4,"more":5}`, 9: "- " + lines[8], 10: "- null",
	}
	check := func(path string, keep func(out) bool) {
		t.Helper()
		last := int64(0)
		seen := 0
		for _, o := range e.output(s.ID + path) {
			id, text := "-", string(o.Result)
			if o.CustomID != nil {
				id = *o.CustomID
			}
			if o.Error != nil {
				text = o.Error.Message
			}
			if got := id + " " + text; got != want[o.Line] || o.Line <= last || !keep(o) {
				t.Errorf("%s: line %d is %.100q, want %.100q", path, o.Line, got, want[o.Line])
			}
			last = o.Line
			seen++
		}
		if path == "/results" && seen != len(want) || path == "/errors" && seen != 5 {
			t.Errorf("%s has %d lines", path, seen)
		}
	}
	check("/results", func(out) bool { return true })
	check("/errors", func(o out) bool { return o.Error != nil })
}

func TestAResendGoesOn(t *testing.T) {
	rep := startReplicas(t, 4, nil)
	e := startEngine(t, startNode(t), rep, nil)
	const n = 1000
	id := e.breakOff("once", numbered(1, 700), `{"n":7`)
	eventually(t, "what was uploaded has run", func() bool { s := e.get(id); return s.Lines == 700 && s.Done == 700 })
	if s := e.get(id); s.State != StateUploading || s.Total != nil {
		t.Errorf("a batch whose upload broke off is %+v", s)
	}
	refused := func(lines, query, want string, header ...string) {
		t.Helper()
		status, body := e.do(http.MethodPost, vanity+query, strings.NewReader(lines), header...)
		if status < 400 || !strings.Contains(body, want) {
			t.Errorf("POST %s = %d %s, want a refusal with %q", query, status, body, want)
		}
	}
	refused(numbered(1, 300)+numbered(1, 1000), "?batch_id="+id, "are not those that are stored")
	refused(numbered(1, 300), "?batch_id="+id, "ends after line 300, and 700 lines")
	refused(numbered(1, n), "?batch_id="+id, "begun with another API key", "Authorization", "k2")
	refused(numbered(1, n), "?timeout=5&batch_id="+id, "other parameters")
	refused(numbered(1, n), "?batch_id=batch-00000000-0000-0000-0000-000000000000", "there is no batch")
	refused(numbered(1, n), "?complete=true&batch_id="+id, "takes no lines")

	s := e.post(strings.NewReader(numbered(1, n)), "", "Idempotency-Key", "once")
	if s.ID != id || *s.Total != n {
		t.Fatalf("the resend is answered with %+v, want %d lines of %s", s, n, id)
	}
	e.await(id, StateCompleted)
	checkWhole(t, e.output(id+"/results"), n)
	if s := e.post(strings.NewReader(numbered(1, n)), "", "Idempotency-Key", "once"); s.State != StateCompleted {
		t.Errorf("a second resend is answered with %+v", s)
	}
	refused(numbered(1, n+1), "?batch_id="+id, "complete with 1000 lines")
	if runs := rep.runs.Load(); runs != n {
		t.Errorf("%d lines ran %d times", n, runs)
	}
}

func TestCompleteEndsAnUpload(t *testing.T) {
	e := startEngine(t, startNode(t), startReplicas(t, 2, nil), nil)
	e.breakOff("x", numbered(1, 100), "")
	s := e.post(nil, "?complete=true", "Idempotency-Key", "x")
	if s.Total == nil || *s.Total != 100 {
		t.Fatalf("complete=true is answered with %+v, want a total of 100", s)
	}
	e.await(s.ID, StateCompleted)
	checkWhole(t, e.output(s.ID+"/results"), 100)
}

func TestCancelKeepsWhatIsDone(t *testing.T) {
	release := make(chan struct{})
	rep := startReplicas(t, 2, func(r *http.Request, body []byte) (int, string) {
		var n int
		_, _ = fmt.Sscanf(string(body), `{"n":%d}`, &n)
		if n > 100 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		return 200, string(body)
	})
	defer close(release)
	e := startEngine(t, startNode(t), rep, nil)
	s := e.post(strings.NewReader(numbered(1, 500)), "")
	eventually(t, "a hundred lines are done", func() bool { return len(e.output(s.ID+"/results")) == 100 })
	status, body := e.do(http.MethodDelete, s.ID, nil)
	if status != http.StatusOK || e.parse(body).State != StateCancelled {
		t.Fatalf("DELETE = %d %s", status, body)
	}
	if status, body := e.do(http.MethodDelete, s.ID, nil); status != http.StatusOK || e.parse(body).State != StateCancelled {
		t.Errorf("the second DELETE = %d %s", status, body)
	}
	eventually(t, "no call runs on", func() bool { return rep.at.Load() == 0 })
	eventually(t, "the queue is empty", func() bool {
		p, err := e.q.Pending(t.Context(), "batch", vanity)
		return err == nil && p.Waiting+p.Running == 0
	})
	checkWhole(t, e.output(s.ID+"/results"), 100)
	if s := e.get(s.ID); s.State != StateCancelled || s.Done != 100 {
		t.Errorf("the batch ends as %+v, want cancelled with 100 done", s)
	}
	if status, body := e.do(http.MethodPost, vanity+"?batch_id="+s.ID, strings.NewReader(numbered(1, 500))); status != http.StatusConflict {
		t.Errorf("an upload to a cancelled batch = %d %s", status, body)
	}
}

func TestWhoSeesABatch(t *testing.T) {
	e := startEngine(t, startNode(t), startReplicas(t, 2, nil), nil)
	s := e.post(strings.NewReader(numbered(1, 3)), "")
	e.await(s.ID, StateCompleted)
	for _, c := range []struct {
		method, path, key string
		want              int
	}{
		{http.MethodGet, s.ID, "stranger", 404}, {http.MethodGet, s.ID + "/results", "stranger", 404}, {http.MethodDelete, s.ID, "stranger", 404},
		{http.MethodGet, s.ID, "other", 200}, {http.MethodDelete, s.ID, "k1", 409}, {http.MethodPut, s.ID, "k1", 405}, {http.MethodDelete, s.ID + "/results", "k1", 405},
		{http.MethodGet, s.ID + "/nothing", "k1", 404}, {http.MethodGet, "nothing", "k1", 404}, {http.MethodGet, "batch-../../x", "k1", 404},
		{http.MethodPost, vanity + "?output=raw", "k1", 400}, {http.MethodPost, vanity + "?stream=maybe", "k1", 400}, {http.MethodPost, vanity + "?timeout=x", "k1", 400},
	} {
		if got, body := e.do(c.method, c.path, nil, "Authorization", c.key); got != c.want {
			t.Errorf("%s %s by %s = %d %s, want %d", c.method, c.path, c.key, got, body, c.want)
		}
	}
}

// TestKeysAndRetries has a key whose rate is used up at times, and replicas that
// are lost at times.
func TestKeysAndRetries(t *testing.T) {
	var lost, spent atomic.Int64
	rep := startReplicas(t, 2, func(_ *http.Request, body []byte) (int, string) {
		if lost.Add(1)%20 == 1 {
			return http.StatusBadGateway, ""
		}
		return 200, string(body)
	})
	e := startEngine(t, startNode(t), rep, func(o *Options) {
		o.Spend = func(keyID, _ string) (time.Duration, error) {
			if keyID == "revoked" {
				return 0, errors.New("this API key does not work any more")
			}
			if spent.Add(1)%10 == 0 {
				return time.Millisecond, nil
			}
			return 0, nil
		}
	})
	s := e.post(strings.NewReader(numbered(1, 200)), "")
	bad := e.post(strings.NewReader(numbered(1, 70)), "", "Authorization", "revoked")
	if bad = e.await(bad.ID, StateCompleted); bad.Failed != 70 {
		t.Errorf("the batch of a revoked key ends as %+v, want 70 failed", bad)
	}
	e.await(s.ID, StateCompleted)
	checkWhole(t, e.output(s.ID+"/results"), 200)
}

// TestAnEmptyQueueAsksForNoReplica: an algorithm without replicas stays so until
// there is a batch.
func TestAnEmptyQueueAsksForNoReplica(t *testing.T) {
	t.Parallel()
	q := connect(t, startNode(t), roomy)
	defer q.Close()
	w := newWorker(t.Context(), New(Options{Queue: q}), vanity)
	if looking, ok := w.next(t.Context()); ok {
		t.Errorf("an empty queue has the next line (looking: %t)", looking)
	}
	_, err := q.Publish(t.Context(), queue.Message{Kind: queue.KindBatch, Algorithm: vanity, ID: "c1", Data: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if looking, ok := w.next(t.Context()); !ok || looking {
		t.Errorf("with a chunk in the queue the next line is there: %t, looking: %t; want true and false", ok, looking)
	}
}
