package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestPhases: from each phase a call may enter these and no others.
func TestPhases(t *testing.T) {
	may := map[phase]string{
		phaseAdmitted:   "queued",
		phaseQueued:     "granted answered timed out caller gone",
		phaseGranted:    "queued sent answered timed out caller gone",
		phaseSent:       "answered timed out caller gone",
		phaseAnswered:   "",
		phaseTimedOut:   "",
		phaseCallerGone: "",
	}
	for from := phaseAdmitted; from <= phaseCallerGone; from++ {
		var got []string
		for next := phaseAdmitted; next <= phaseCallerGone; next++ {
			if from.mayBecome(next) {
				got = append(got, next.String())
			}
		}
		if got := strings.Join(got, " "); got != may[from] {
			t.Errorf("%v may become %q, want %q", from, got, may[from])
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "a call that is admitted became sent") {
			t.Errorf("a call that is sent without a slot: %v, want a panic", p)
		}
	}()
	new(Call).MarkSent()
}

// tracked is a call of an algorithm with one replica that has one slot.
type tracked struct {
	*Call
	route  *routing.Route
	waiter pool.Waiter
	told   chan error
	slots  chan *pool.Replica
	output *bytes.Buffer
}

// OnSlot is called with a slot, or with why there is none.
func (c *tracked) OnSlot(slot *pool.Replica, err error) { c.slots <- slot; c.told <- err }

func track(t *testing.T, langserver bool, queue int) *tracked {
	t.Helper()
	r := config.Route{VanityURL: "foo/bar", Algorithm: "neo/Hello/0123456789abcdef0123456789abcdef01234567", Protocol: constellation.ProtocolHTTP, Endpoints: []string{"127.0.0.1:1"}}
	if langserver {
		r.Protocol = ""
	}
	route := routing.NewRoute(r)
	route.Pool = pool.New(pool.Options{
		Algorithm: r.VanityURL, Limits: pool.Limits{Concurrency: 1, QueueLimit: queue},
		Connect: func(addr string) pool.Connections { return NewReplica(addr) },
		Restart: func(*pool.Replica) {},
	})
	route.Pool.SetReplicas([]string{"127.0.0.1:1"})
	c := &tracked{route: route, told: make(chan error, 1), slots: make(chan *pool.Replica, 1), output: new(bytes.Buffer)}
	c.Call = c.another()
	return c
}

// another returns one more call of the algorithm.
func (c *tracked) another() *Call {
	next := &Call{
		Call: protocol.Call{ID: "req-x", Start: time.Now(), Timeout: time.Minute},
		Log:  slog.New(slog.NewTextHandler(c.output, nil)),
	}
	next.To(c.route)
	next.Timeout = time.Minute
	return next
}

// acquire asks for a slot, as a driver does.
func (c *tracked) acquire() *protocol.Failure {
	c.waiter = pool.Waiter{Caller: c, Key: "k", Retry: c.Enqueue(time.Now())}
	slot, err := c.Route.Pool.Acquire(&c.waiter)
	if slot == nil && err == nil {
		return nil
	}
	return c.EndWait(slot, err, time.Now())
}

// later is after the call's time-out.
func (c *tracked) later() time.Time { return c.Deadline().Add(time.Second) }

// TestLifecycle: what becomes of a call, of its slot and of its replica.
func TestLifecycle(t *testing.T) {
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		langserver bool
		busy       bool // another call has the slot
		run        func(c *tracked) *protocol.Failure
		phase      phase
		outcome    protocol.Outcome
		state      pool.State // Ready, Ejected and Quarantined replicas
	}{
		"answered": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			body := memory.NewBuffer(8)
			body.B = append(body.B, "hi"...)
			_, f := c.Complete(protocol.Answer{Status: 200, ContentType: "text/plain", Body: body}, time.Now())
			return f
		}, phase: phaseAnswered, outcome: protocol.OutcomeOK, state: pool.State{Ready: 1}},
		"queue full": {busy: true, run: func(c *tracked) *protocol.Failure { return c.acquire() },
			phase: phaseAnswered, outcome: protocol.OutcomeFull, state: pool.State{Ready: 1}},
		"no replica": {run: func(c *tracked) *protocol.Failure {
			c.Route.Pool.SetReplicas(nil)
			return c.acquire()
		}, phase: phaseAnswered, outcome: protocol.OutcomeNone},
		"timed out in the queue": {run: func(c *tracked) *protocol.Failure {
			c.Enqueue(time.Now())
			return c.TimeOutWait(c.later())
		}, phase: phaseTimedOut, outcome: protocol.OutcomeTimeout, state: pool.State{Ready: 1}},
		"no replica until the time-out": {run: func(c *tracked) *protocol.Failure {
			c.Route.Pool.SetReplicas(nil)
			c.Enqueue(time.Now())
			return c.TimeOutWait(c.later())
		}, phase: phaseAnswered, outcome: protocol.OutcomeNone},
		"caller gone when the slot comes": {run: func(c *tracked) *protocol.Failure {
			c.Gone = true
			return c.acquire()
		}, phase: phaseCallerGone, outcome: protocol.OutcomeCanceled, state: pool.State{Ready: 1}},
		"caller gone before it is sent": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.Gone = true
			return c.RetryOrEnd(broken, time.Now())
		}, phase: phaseCallerGone, outcome: protocol.OutcomeCanceled, state: pool.State{Ready: 1}},
		"timed out before it is sent": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			return c.RetryOrEnd(broken, c.later())
		}, phase: phaseTimedOut, outcome: protocol.OutcomeTimeout, state: pool.State{Ready: 1}},
		"refused by its only replica": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			if f := c.RetryOrEnd(broken, time.Now()); f != nil {
				return f
			}
			return c.acquire()
		}, phase: phaseAnswered, outcome: protocol.OutcomeNone, state: pool.State{Ejected: 1}},
		"timed out on a langserver": {langserver: true, run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			return c.BreakOff(upstream.ErrTimedOut, c.later())
		}, phase: phaseTimedOut, outcome: protocol.OutcomeTimeout, state: pool.State{Quarantined: 1}},
		"timed out on an http algorithm": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			return c.BreakOff(upstream.ErrTimedOut, c.later())
		}, phase: phaseTimedOut, outcome: protocol.OutcomeTimeout, state: pool.State{Ready: 1}},
		"replica lost": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			return c.BreakOff(broken, time.Now())
		}, phase: phaseAnswered, outcome: protocol.OutcomeLost, state: pool.State{Ready: 1}},
		"caller gone from an http algorithm": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			c.Gone = true
			return c.BreakOff(context.Canceled, time.Now())
		}, phase: phaseCallerGone, outcome: protocol.OutcomeCanceled, state: pool.State{Ready: 1}},
		"caller gone from a langserver that is lost": {langserver: true, run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			c.Gone = true
			return c.BreakOff(broken, time.Now())
		}, phase: phaseAnswered, outcome: protocol.OutcomeLost, state: pool.State{Ready: 1}},
		"answer too large": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			return c.BreakOff(memory.ErrTooLarge, time.Now())
		}, phase: phaseAnswered, outcome: protocol.OutcomeError, state: pool.State{Ready: 1}},
		"no room for the answer": {run: func(c *tracked) *protocol.Failure {
			_ = c.acquire()
			c.MarkSent()
			return c.BreakOff(memory.ErrNoRoom, time.Now())
		}, phase: phaseAnswered, outcome: protocol.OutcomeFull, state: pool.State{Ready: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := track(t, test.langserver, 0)
			if test.busy {
				other := c.another()
				other.Enqueue(time.Now())
				slot, err := c.Route.Pool.Acquire(&pool.Waiter{Caller: c, Key: "other"})
				if f := other.EndWait(slot, err, time.Now()); f != nil {
					t.Fatalf("the other call = %v", f)
				}
				defer other.Release(pool.OutcomeOK)
			}
			f := test.run(c)
			outcome := protocol.OutcomeOK
			if f != nil {
				outcome = f.Outcome
			}
			if c.phase != test.phase || outcome != test.outcome {
				t.Errorf("the call is %v with %v, want %v with %v", c.phase, outcome, test.phase, test.outcome)
			}
			s := c.Route.Pool.State()
			busy := 0
			if test.busy {
				busy = 1
			}
			if got := (pool.State{Ready: s.Ready, Ejected: s.Ejected, Quarantined: s.Quarantined}); got != test.state || s.InFlight != busy {
				t.Errorf("the pool = %+v, want %+v and %d in flight", s, test.state, busy)
			}
		})
	}
}

// TestLifecycleOfAWait: a call that waits is granted the slot that another call
// gives back, and the time of its wait is counted.
func TestLifecycleOfAWait(t *testing.T) {
	c := track(t, false, 1)
	first := c.another()
	first.Enqueue(time.Now())
	slot, err := c.Route.Pool.Acquire(&pool.Waiter{Caller: c, Key: "other"})
	if f := first.EndWait(slot, err, time.Now()); f != nil {
		t.Fatal(f)
	}
	if f := c.acquire(); f != nil || c.phase != phaseQueued {
		t.Fatalf("the second call is %v with %v, want queued", c.phase, f)
	}
	first.MarkSent()
	if f := first.BreakOff(context.DeadlineExceeded, time.Now()); f == nil {
		t.Fatal("a call that was lost has no failure")
	}
	if f := c.EndWait(waittest.Receive(t, "the slot", c.slots), waittest.Receive(t, "the slot", c.told), c.queuedAt.Add(time.Second)); f != nil || c.phase != phaseGranted || c.Wait != time.Second {
		t.Errorf("the second call is %v with %v after %v, want granted after 1s", c.phase, f, c.Wait)
	}
	if c.Replica != "127.0.0.1:1" {
		t.Errorf("replica = %q", c.Replica)
	}
	c.Release(pool.OutcomeOK)
	c.Release(pool.OutcomeOK) // once only
	if s := c.Route.Pool.State(); s.InFlight != 0 {
		t.Errorf("%d calls in flight, want none", s.InFlight)
	}
}

// TestWaitContext: a langserver's call goes on waiting for a moment after
// net/http ended its caller's context; any other call ends at once.
func TestWaitContext(t *testing.T) {
	for name, langserver := range map[string]bool{"langserver": true, "http": false} {
		t.Run(name, func(t *testing.T) {
			c := track(t, langserver, 0)
			caller, leave := context.WithCancel(t.Context())
			began := time.Now()
			ctx, release := c.WaitContext(caller)
			defer release()
			leave()
			waittest.Receive(t, "the wait ends", ctx.Done())
			if took := time.Since(began); langserver && took < halfClosedFor {
				t.Errorf("the wait ended after %v, want at least %v", took, halfClosedFor)
			}
			if ended := c.ExchangeContext(caller).Err() != nil; ended == langserver {
				t.Errorf("the exchange ends with the caller = %v", ended)
			}
		})
	}
}

// TestEndsWithoutCaller: in which phases a call goes on whose caller sends no
// more.
func TestEndsWithoutCaller(t *testing.T) {
	for _, test := range []struct {
		langserver bool
		phase      phase
		waited     time.Duration
		want       bool
	}{
		{true, phaseQueued, 0, true},
		{true, phaseQueued, halfClosedFor - 1, true},
		{true, phaseQueued, halfClosedFor, false},
		{true, phaseGranted, time.Hour, true},
		{true, phaseSent, time.Hour, true},
		{true, phaseAnswered, 0, false},
		{false, phaseQueued, 0, false},
		{false, phaseGranted, 0, false},
		{false, phaseSent, 0, false},
	} {
		c := track(t, test.langserver, 0)
		now := time.Now()
		c.Enqueue(now)
		c.phase = test.phase
		if got := c.EndsWithoutCaller(now.Add(test.waited)); got != test.want {
			t.Errorf("langserver %v, %v for %v: EndsWithoutCaller = %v, want %v", test.langserver, test.phase, test.waited, got, test.want)
		}
	}
}
