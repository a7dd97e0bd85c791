package async

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// runs is a Runner whose calls are a function.
type runs func(ctx context.Context, in Input) Outcome

func (r runs) Reserve(context.Context, string, bool) (Slot, error) { return slot{r}, nil }
func (r runs) Run(ctx context.Context, in Input) Outcome           { return r(ctx, in) }

type slot struct{ runs }

func (slot) Release() {}

func startQueue(t *testing.T) *queue.Queue {
	t.Helper()
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: []byte("a secret that is long enough")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	q, err := queue.Connect(t.Context(), queue.Options{Node: n, Secret: []byte("a secret that is long enough")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	eventually(t, "the queue is ready", func() bool { return q.Ready() == nil })
	return q
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// start starts a service whose calls are run, and ends it with the test.
func start(t *testing.T, q *queue.Queue, opts Options, run runs) *Service {
	t.Helper()
	opts.Queue, opts.Runner, opts.IDs = q, run, NewIDCodec([]byte("a secret that is long enough"))
	opts.Algorithms = func() []Algorithm { return []Algorithm{{VanityURL: "foo/bar", Ref: "neo/hello/0"}} }
	s := New(t.Context(), opts)
	ran := make(chan struct{})
	go func() { defer close(ran); s.Run() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Drain(ctx)
		<-ran
	})
	return s
}

func submit(t *testing.T, s *Service) callRef {
	t.Helper()
	id, f := s.Accept(t.Context(), Submission{Input: Input{VanityURL: "foo/bar", KeyID: "k", ContentType: "text/plain", Body: []byte("Neo")}, Algorithm: "neo/hello/0"})
	if f != nil {
		t.Fatal(f)
	}
	at, f := s.locate(id, func(string) bool { return true })
	if f != nil {
		t.Fatal(f)
	}
	return at
}

func anyRoom(int) error { return nil }

func answered(body string) Outcome {
	return Outcome{Status: 200, ContentType: "application/json", Body: []byte(body), Ended: protocol.OutcomeOK}
}

// TestTwoRunsOfACallHaveOneResult: the queue gives a call to another engine while
// the first still runs it, as after a partition.
func TestTwoRunsOfACallHaveOneResult(t *testing.T) {
	q := startQueue(t)
	entered, leave := make(chan bool, 2), make(chan bool)
	var first atomic.Bool
	s := start(t, q, Options{}, func(context.Context, Input) Outcome {
		if first.CompareAndSwap(false, true) {
			entered <- true
			<-leave
			return answered("first")
		}
		return answered("second")
	})
	at := submit(t, s)
	select {
	case <-entered:
	case <-time.After(time.Minute):
		t.Fatal("the call does not run")
	}
	if err := s.isActive(at.ticket).d.Retry(0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second run ends", func() bool {
		rec, f := s.look(t.Context(), at, anyRoom)
		return f == nil && rec.State.Ended()
	})
	close(leave)
	eventually(t, "the first run ends", func() bool { return s.isActive(at.ticket) == nil })
	if rec, f := s.look(t.Context(), at, anyRoom); f != nil || string(rec.body) != "second" || rec.State != Succeeded {
		t.Errorf("the result is %+v %v, want the one that was stored first", rec, f)
	}
	eventually(t, "the call is off the queue", func() bool {
		p, err := q.Pending(t.Context(), queue.KindCall, "foo/bar")
		return err == nil && p.Waiting+p.Running == 0
	})
}

// TestAResultIsStoredFirst: while the result finds no room the call stays in the
// queue, and what ran is not lost.
func TestAResultIsStoredFirst(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret that is long enough")
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: secret, Size: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	q, err := queue.Connect(t.Context(), queue.Options{Node: n, Secret: secret, Size: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	eventually(t, "the queue is ready", func() bool { return q.Ready() == nil })
	var ran atomic.Int32
	run := make(chan bool)
	s := start(t, q, Options{RunningAfter: time.Hour}, func(context.Context, Input) Outcome {
		<-run
		ran.Add(1)
		return answered("done")
	})
	at := submit(t, s)
	eventually(t, "the call runs", func() bool { return s.isActive(at.ticket) != nil })
	var kept []string
	eventually(t, "there is no more room for results", func() bool {
		key := fmt.Sprint("kept-", len(kept))
		err := q.Set(t.Context(), queue.BucketCall, key, make([]byte, 200<<10))
		if err == nil {
			kept = append(kept, key)
		}
		return errors.Is(err, queue.ErrFull)
	})
	for size := 100 << 10; size >= 64; size /= 2 { // up to the last bytes
		key := fmt.Sprint("less-", size)
		if q.Set(t.Context(), queue.BucketCall, key, make([]byte, size)) == nil {
			kept = append(kept, key)
		}
	}
	close(run)
	eventually(t, "the call has run", func() bool { return ran.Load() == 1 })
	for range 20 { // it is tried to store the result again and again
		if p, err := q.Pending(t.Context(), queue.KindCall, "foo/bar"); err == nil && p.Waiting+p.Running != 1 {
			t.Fatalf("%+v are in the queue while the result is not stored, want the call", p)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if rec, _, err := s.record(t.Context(), at.ticket); err != nil || rec != nil && rec.State.Ended() {
		t.Fatalf("the result is stored where there was no room: %+v, %v", rec, err)
	}
	for _, key := range kept {
		if err := q.Delete(t.Context(), queue.BucketCall, key); err != nil {
			t.Fatal(err)
		}
	}
	if rec, f := s.await(t.Context(), at, time.Minute, &Caller{Room: anyRoom}); f != nil || rec.State != Succeeded || string(rec.body) != "done" || ran.Load() != 1 {
		t.Errorf("the call is %+v %v after %d runs, want the result of the one", rec, f, ran.Load())
	}
	eventually(t, "the call is off the queue", func() bool {
		p, err := q.Pending(t.Context(), queue.KindCall, "foo/bar")
		return err == nil && p.Waiting+p.Running == 0
	})
}

// TestALongCallIsRecordedAsRunning: whoever asks another engine is told so.
func TestALongCallIsRecordedAsRunning(t *testing.T) {
	q := startQueue(t)
	leave := make(chan bool)
	s := start(t, q, Options{RunningAfter: time.Millisecond}, func(context.Context, Input) Outcome { <-leave; return answered("done") })
	at := submit(t, s)
	eventually(t, "it is recorded that the call runs", func() bool {
		rec, _, err := s.record(t.Context(), at.ticket)
		return err == nil && rec != nil && rec.State == Running && rec.Attempts == 1 && !rec.StartedAt.IsZero()
	})
	close(leave)
	rec, f := s.await(t.Context(), at, time.Minute, &Caller{Room: anyRoom})
	if f != nil || rec.State != Succeeded {
		t.Errorf("the call is %+v %v, want success", rec, f)
	}
}

func TestTimeoutsAreTriedAgainWhereAsked(t *testing.T) {
	for _, again := range []bool{false, true} {
		var n atomic.Int32
		s := start(t, startQueue(t), Options{RetryTimeouts: again}, func(context.Context, Input) Outcome {
			if n.Add(1) == 1 {
				return Outcome{Status: 200, Ended: protocol.OutcomeTimeout, Message: "late", ErrorType: "TimeoutError"}
			}
			return answered("done")
		})
		rec, f := s.await(t.Context(), submit(t, s), time.Minute, &Caller{Room: anyRoom})
		if f != nil || rec.State != map[bool]State{false: Failed, true: Succeeded}[again] {
			t.Errorf("with RetryTimeouts %v the call is %+v %v", again, rec, f)
		}
	}
}

// TestWhatNeverEndsIsDead: each run takes its engine down.
func TestWhatNeverEndsIsDead(t *testing.T) {
	q := startQueue(t)
	s := New(t.Context(), Options{Queue: q, IDs: NewIDCodec([]byte("a secret that is long enough")), Runner: runs(nil),
		Algorithms: func() []Algorithm { return []Algorithm{{VanityURL: "foo/bar"}} }})
	at := submit(t, s)
	for range defaultAttempts {
		eventually(t, "the call is taken", func() bool {
			d, err := q.Next(t.Context(), queue.KindCall, "foo/bar")
			return err == nil && d != nil && d.Retry(0) == nil
		})
	}
	start(t, q, Options{}, func(context.Context, Input) Outcome { t.Error("it runs again"); return answered("") })
	rec, f := s.await(t.Context(), at, time.Minute, &Caller{Room: anyRoom})
	if f != nil || rec.State != Dead || rec.Attempts != defaultAttempts {
		t.Errorf("the call is %+v %v, want it dead", rec, f)
	}
}

// TestResultsHaveTheirTime: what was kept and is gone is not what never was.
func TestResultsHaveTheirTime(t *testing.T) {
	q := startQueue(t)
	s := start(t, q, Options{}, func(context.Context, Input) Outcome { return answered("done") })
	at := submit(t, s)
	if _, f := s.await(t.Context(), at, time.Minute, &Caller{Room: anyRoom}); f != nil {
		t.Fatal(f)
	}
	eventually(t, "the call is off the queue", func() bool {
		p, err := q.Pending(t.Context(), queue.KindCall, "foo/bar")
		return err == nil && p.Waiting+p.Running == 0
	})
	if err := q.Delete(t.Context(), queue.BucketCall, at.ticket.String()); err != nil {
		t.Fatal(err)
	}
	if _, f := s.look(t.Context(), at, anyRoom); f == nil || f.Status != 410 {
		t.Errorf("a result whose time is over = %v, want 410", f)
	}
	at.position.After = true
	if _, f := s.look(t.Context(), at, anyRoom); f == nil || f.Status != 404 {
		t.Errorf("a call that may never have been stored = %v, want 404", f)
	}
}

// TestAStateIsReadWithoutItsResult: what a call was answered takes memory only where
// it is asked for.
func TestAStateIsReadWithoutItsResult(t *testing.T) {
	q := startQueue(t)
	body := strings.Repeat("x", 2<<20)
	s := start(t, q, Options{}, func(context.Context, Input) Outcome { return answered(body) })
	at := submit(t, s)
	room := 512 << 10
	c := Caller{KeyID: "k", May: func(string) bool { return true }, Room: func(size int) error {
		if size > room {
			return errors.New("the engine has no more")
		}
		return nil
	}}
	get := func(method, path string) protocol.Reply {
		return s.Answer(httptest.NewRequestWithContext(t.Context(), method, Path+at.id+path, nil), c)
	}
	if r := get("GET", "?wait=60"); r.Status != 200 || !strings.Contains(string(r.Parts[0]), `"succeeded"`) || len(r.Parts[0]) > 1000 {
		t.Errorf("the state = %d with %d bytes", r.Status, len(r.Parts[0]))
	}
	if r := get("DELETE", ""); r.Status != 409 || !strings.Contains(string(r.Parts[0]), "it is succeeded") {
		t.Errorf("cancelling it = %d %s", r.Status, r.Parts[0])
	}
	if r := get("GET", "/result"); r.Status != 503 {
		t.Errorf("the result without room = %d, want 503", r.Status)
	}
	room = 4 << 20
	if r := get("GET", "/result"); r.Status != 200 || string(r.Parts[0]) != body {
		t.Errorf("the result = %d with %d bytes, want %d", r.Status, len(r.Parts[0]), len(body))
	}
}

// TestACallIsFoundBehindItsPlace: after an answer that did not come, the id knows
// only where the queue was before.
func TestACallIsFoundBehindItsPlace(t *testing.T) {
	q := startQueue(t)
	s := New(t.Context(), Options{Queue: q, IDs: NewIDCodec([]byte("a secret that is long enough")), Runner: runs(nil),
		Algorithms: func() []Algorithm { return []Algorithm{{VanityURL: "foo/bar"}} }})
	var last callRef
	for range 20 {
		last = submit(t, s)
	}
	id := s.opts.IDs.Encode(last.ticket, Position{Seq: 3, After: true})
	at, f := s.locate(id, func(string) bool { return true })
	if f != nil {
		t.Fatal(f)
	}
	rec, f := s.look(t.Context(), at, anyRoom)
	if f != nil || rec.State != Queued || rec.Seq != last.position.Seq {
		t.Fatalf("look = %+v %v, want it queued at %d", rec, f, last.position.Seq)
	}
	if st := s.status(t.Context(), at, rec); st.Position != 20 || st.RequestID != id {
		t.Errorf("status = %+v, want position 20", st)
	}
}

// TestAnUnknownOutcomeIsToldAsOne: the failure is neither a yes nor a no, and has
// the id by which the call is found if it was stored.
func TestAnUnknownOutcomeIsToldAsOne(t *testing.T) {
	s := New(t.Context(), Options{Queue: startQueue(t), IDs: NewIDCodec([]byte("a secret that is long enough")), Runner: runs(nil),
		Algorithms: func() []Algorithm { return []Algorithm{{VanityURL: "foo/bar"}} }})
	for _, test := range []struct {
		err  error
		id   string
		want string
	}{
		{queue.ErrUnknown, "req-1", "not known whether"},
		{queue.ErrFull, "", "full: the call was not stored"},
		{queue.ErrUnavailable, "", "the call was not stored"},
	} {
		f := s.refuse(test.err, test.id)
		reply := protocol.ErrorReply(f)
		body := string(reply.Parts[0])
		if reply.Status != 503 || reply.RetryAfter == 0 || !strings.Contains(body, test.want) || strings.Contains(body, `"request_id":"req-1"`) != (test.id != "") {
			t.Errorf("%v = %d, Retry-After %d, %s", test.err, reply.Status, reply.RetryAfter, body)
		}
	}
}

// Requests that wait for a call's end are bounded, for each key and in all; those
// that do not wait are answered.
func TestWaitsAreBounded(t *testing.T) {
	q := startQueue(t)
	leave := make(chan bool)
	s := start(t, q, Options{}, func(context.Context, Input) Outcome { <-leave; return answered("done") })
	release := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(release)
	s.waits.most, s.waits.mostOfKey = 3, 2
	at := submit(t, s)
	ask := func(key, query string) int {
		r := httptest.NewRequest(http.MethodGet, Path+at.id+query, nil)
		reply := s.Answer(r, Caller{KeyID: key, May: func(string) bool { return true }, Room: anyRoom})
		if reply.Status == http.StatusTooManyRequests && reply.RetryAfter == 0 {
			t.Error("429 without Retry-After")
		}
		return reply.Status
	}
	wait := func() (n int) {
		s.waits.mu.Lock()
		defer s.waits.mu.Unlock()
		return s.waits.all
	}
	var held sync.WaitGroup
	hold := func(key string, want int) {
		held.Go(func() {
			if got := ask(key, "?wait=120"); got != http.StatusOK {
				t.Errorf("a wait of %s = %d, want 200", key, got)
			}
		})
		eventually(t, "it waits", func() bool { return wait() == want })
	}
	hold("a", 1)
	hold("a", 2)
	if got := ask("a", "?wait=1"); got != http.StatusTooManyRequests {
		t.Errorf("one more wait of a key = %d, want 429", got)
	}
	hold("b", 3)
	if got := ask("c", "?wait=1"); got != http.StatusTooManyRequests {
		t.Errorf("one more wait in all = %d, want 429", got)
	}
	if got := ask("a", ""); got != http.StatusOK {
		t.Errorf("without a wait = %d, want 200", got)
	}
	release()
	held.Wait()
	if n := wait(); n != 0 || len(s.waits.byKey) != 0 {
		t.Errorf("%d waits of %v are counted after all", n, s.waits.byKey)
	}
	if got := ask("a", "?wait=1"); got != http.StatusOK {
		t.Errorf("after the end = %d, want 200", got)
	}
}

// TestAClockAnHourOff: the engine that accepts a call and the one that runs it do
// not agree on the time, in either direction.
func TestAClockAnHourOff(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			q := startQueue(t)
			other := New(t.Context(), Options{Queue: q, IDs: NewIDCodec([]byte("a secret that is long enough")), Runner: runs(nil),
				Now:        func() time.Time { return time.Now().Add(off) },
				Algorithms: func() []Algorithm { return []Algorithm{{VanityURL: "foo/bar"}} }})
			at := submit(t, other)
			s := start(t, q, Options{}, func(context.Context, Input) Outcome { return answered("done") })
			c := Caller{KeyID: "k", May: func(string) bool { return true }, Room: anyRoom}
			for _, of := range []*Service{s, other} {
				if rec, f := of.await(t.Context(), at, time.Minute, &c); f != nil || rec.State != Succeeded || rec.Attempts != 1 {
					t.Errorf("the call is %+v %v", rec, f)
				}
				r := of.Answer(httptest.NewRequestWithContext(t.Context(), "GET", Path+at.id+"/result", nil), c)
				if r.Status != 200 || string(r.Parts[0]) != "done" {
					t.Errorf("the result = %d %s", r.Status, r.Parts[0])
				}
			}
		})
	}
}
