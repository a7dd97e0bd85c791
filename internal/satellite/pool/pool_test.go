package pool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/waittest"
)

func soon() time.Time { return time.Now().Add(2 * time.Minute) }

func newPool(concurrency, queueLimit int) *Pool {
	return New(Options{Algorithm: "foo/bar", Limits: Limits{Concurrency: concurrency, QueueLimit: queueLimit}})
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func queued(p *Pool) int { return p.State().Queued }

func mustAcquire(t *testing.T, p *Pool) *Replica {
	t.Helper()
	r, err := p.Wait(t.Context(), "k", soon(), false)
	if err != nil {
		t.Fatalf("acquire = %v", err)
	}
	return r
}

func TestPoolServesFirstComeFirst(t *testing.T) {
	p := newPool(1, 10)
	p.SetReplicas([]string{"a"})
	r := mustAcquire(t, p)
	var (
		mu    sync.Mutex
		order []int
		wg    sync.WaitGroup
	)
	for i := range 5 {
		wg.Go(func() {
			r, err := p.Wait(context.Background(), "k", soon(), false)
			if err != nil {
				t.Errorf("acquire %d = %v", i, err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			p.Release(r, ClassSync, OutcomeOK)
		})
		eventually(t, "the call queues", func() bool { return queued(p) == i+1 })
	}
	p.Release(r, ClassSync, OutcomeOK)
	wg.Wait()
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("order = %v, want %v", order, want)
	}
}

func TestPoolPicksTheReplicaWithTheFewestCalls(t *testing.T) {
	p := newPool(3, 10)
	p.SetReplicas([]string{"a", "b", "c"})
	count := map[string]int{}
	for range 9 {
		count[mustAcquire(t, p).addr]++
	}
	for _, addr := range []string{"a", "b", "c"} {
		if count[addr] != 3 {
			t.Errorf("replica %s has %d calls, want 3", addr, count[addr])
		}
	}
}

func TestPoolRefusals(t *testing.T) {
	p := newPool(1, 1)
	if _, err := p.Wait(t.Context(), "k", soon(), false); !errors.Is(err, ErrNoReplica) {
		t.Errorf("acquire without replicas = %v, want %v", err, ErrNoReplica)
	}
	p.SetReplicas([]string{"a"})
	r := mustAcquire(t, p)
	if _, err := p.Wait(t.Context(), "k", time.Now(), false); !errors.Is(err, ErrWaitTimeout) {
		t.Errorf("acquire past its deadline = %v, want %v", err, ErrWaitTimeout)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := p.Wait(ctx, "k", soon(), false); result <- err }()
	eventually(t, "the call queues", func() bool { return queued(p) == 1 })
	if _, err := p.Wait(t.Context(), "k", soon(), false); !errors.Is(err, ErrQueueFull) {
		t.Errorf("acquire with a full queue = %v, want %v", err, ErrQueueFull)
	}
	cancel()
	if err := waittest.Receive(t, "the end of the wait", result); !errors.Is(err, ErrCallerGone) {
		t.Errorf("acquire of a caller who left = %v, want %v", err, ErrCallerGone)
	}
	if n := queued(p); n != 0 {
		t.Errorf("%d calls wait after the caller left, want 0", n)
	}
	go func() { _, err := p.Wait(context.Background(), "k", soon(), false); result <- err }()
	eventually(t, "the call queues", func() bool { return queued(p) == 1 })
	p.Close()
	if err := waittest.Receive(t, "the end of the wait", result); !errors.Is(err, ErrClosed) {
		t.Errorf("acquire of a removed algorithm = %v, want %v", err, ErrClosed)
	}
	p.Release(r, ClassSync, OutcomeOK)
}

func TestPoolRetriesWaitAtTheFront(t *testing.T) {
	p := newPool(1, 1)
	p.SetReplicas([]string{"a"})
	r := mustAcquire(t, p)
	first := make(chan string, 2)
	go func() {
		r, _ := p.Wait(context.Background(), "k", soon(), false)
		first <- "new"
		p.Release(r, ClassSync, OutcomeOK)
	}()
	eventually(t, "the call queues", func() bool { return queued(p) == 1 })
	go func() {
		r, _ := p.Wait(context.Background(), "k", soon(), true)
		first <- "again"
		p.Release(r, ClassSync, OutcomeOK)
	}()
	eventually(t, "the retry queues though the queue is full", func() bool { return queued(p) == 2 })
	p.Release(r, ClassSync, OutcomeOK)
	if got := waittest.Receive(t, "a slot", first); got != "again" {
		t.Errorf("the first one served is the %s call, want the retried one", got)
	}
	waittest.Receive(t, "the other slot", first)
}

func TestPoolHoldsAReplicaThatLeavesAndComesBackToItsCalls(t *testing.T) {
	p := newPool(1, 10)
	p.SetReplicas([]string{"a"})
	r := mustAcquire(t, p)
	p.SetReplicas(nil)
	if _, err := p.Wait(t.Context(), "k", soon(), false); !errors.Is(err, ErrNoReplica) {
		t.Errorf("acquire of a replica that left = %v, want %v", err, ErrNoReplica)
	}
	p.SetReplicas([]string{"a"})
	if _, err := p.Wait(t.Context(), "k", time.Now(), false); !errors.Is(err, ErrWaitTimeout) {
		t.Errorf("acquire while the old call runs = %v, want %v: its slot is taken", err, ErrWaitTimeout)
	}
	p.Release(r, ClassSync, OutcomeOK)
	p.Release(mustAcquire(t, p), ClassSync, OutcomeOK)

	r = mustAcquire(t, p)
	p.SetReplicas([]string{"b"})
	p.Release(r, ClassSync, OutcomeOK)
	if s := p.State(); s.InFlight != 0 || len(p.lingering) != 0 {
		t.Errorf("after the last call of a replica that left: %+v, %d lingering, want nothing", s, len(p.lingering))
	}
}

func TestPoolServesTheQueueWhenAReplicaComes(t *testing.T) {
	p := newPool(1, 10)
	p.SetReplicas([]string{"a"})
	a := mustAcquire(t, p)
	got := make(chan string, 1)
	go func() {
		r, err := p.Wait(context.Background(), "k", soon(), false)
		if err == nil {
			got <- r.addr
			p.Release(r, ClassSync, OutcomeOK)
		}
	}()
	eventually(t, "the call queues", func() bool { return queued(p) == 1 })
	p.SetReplicas([]string{"a", "b"})
	if addr := waittest.Receive(t, "a slot", got); addr != "b" {
		t.Errorf("the waiting call went to %s, want b", addr)
	}
	p.Release(a, ClassSync, OutcomeOK)
}

func TestPoolEjectsARefusingReplica(t *testing.T) {
	p := newPool(1, 10)
	p.SetReplicas([]string{"a", "b"})
	r := mustAcquire(t, p)
	other := map[string]string{"a": "b", "b": "a"}[r.addr]
	p.Release(r, ClassSync, OutcomeRefused)
	for range 3 {
		next := mustAcquire(t, p)
		if next.addr != other {
			t.Errorf("acquire = %s, want %s: the other is ejected", next.addr, other)
		}
		p.Release(next, ClassSync, OutcomeOK)
	}
	eventually(t, "the replica is back after a moment", func() bool { return p.State().Ready == 2 })
}

// TestPoolUnderLoad is for the race detector and for the counts: slots are
// never exceeded and none is lost.
func TestPoolUnderLoad(t *testing.T) {
	const concurrency = 2
	p := newPool(concurrency, 1000)
	p.SetReplicas([]string{"a", "b", "c"})
	var (
		mu  sync.Mutex
		now = map[*Replica]int{}
		wg  sync.WaitGroup
	)
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%7 == 0 {
				go cancel()
			}
			if i%31 == 0 {
				p.SetReplicas([]string{"a", "b", "c", "d"}[:3+i%2])
			}
			r, err := p.Wait(ctx, "k", soon(), i%5 == 0)
			if err != nil {
				return
			}
			mu.Lock()
			now[r]++
			if now[r] > concurrency {
				t.Errorf("replica %s has %d calls at once, want at most %d", r.addr, now[r], concurrency)
			}
			mu.Unlock()
			mu.Lock()
			now[r]--
			mu.Unlock()
			p.Release(r, ClassSync, OutcomeOK)
		})
	}
	wg.Wait()
	if s := p.State(); s.InFlight != 0 || s.Queued != 0 {
		t.Errorf("after the load: %+v, want nothing in flight or queued", s)
	}
}

// Where a replica is to be started, calls wait for it until their deadline, have
// it said that they do, and are served in their order when it comes.
func TestCallsWaitForReplicas(t *testing.T) {
	starved := 0
	p := New(Options{Algorithm: "foo/bar", Limits: Limits{Concurrency: 1, QueueLimit: 100, WaitForReplicas: true}, Starved: func() { starved++ }})
	if _, err := p.Wait(t.Context(), "k", time.Now(), false); !errors.Is(err, ErrNoReplica) {
		t.Errorf("a call whose time is over = %v, want %v", err, ErrNoReplica)
	}
	if starved != 1 {
		t.Errorf("%d times it was said that a call waits, want 1", starved)
	}
	var served []*notedCaller
	for range 50 {
		c := &notedCaller{}
		c.w = Waiter{Caller: c, Key: "k"}
		if r, err := p.Acquire(&c.w); r != nil || err != nil {
			t.Fatalf("acquire = %v, %v, want it to wait", r, err)
		}
		served = append(served, c)
	}
	p.SetReplicas([]string{"a"})
	for i, c := range served {
		if c.r == nil {
			t.Fatalf("call %d has no slot, %v", i, c.err)
		}
		p.Release(c.r, ClassSync, OutcomeOK)
	}
	c := &notedCaller{}
	c.w = Waiter{Caller: c, Key: "k"}
	held := mustAcquire(t, p)
	if r, err := p.Acquire(&c.w); r != nil || err != nil {
		t.Fatalf("acquire = %v, %v, want it to wait", r, err)
	}
	before := starved
	p.SetReplicas(nil)
	if starved != before+1 {
		t.Error("it is not said that the last replica left a call that waits")
	}
	p.Release(held, ClassSync, OutcomeOK)
	p.SetLimits(Limits{Concurrency: 1, QueueLimit: 100})
	if _, err := p.Wait(t.Context(), "k", soon(), false); !errors.Is(err, ErrNoReplica) {
		t.Errorf("acquire without waiting for replicas = %v, want %v", err, ErrNoReplica)
	}
	p.Close()
	if !errors.Is(c.err, ErrClosed) {
		t.Errorf("the call that waits ends with %v, want %v", c.err, ErrClosed)
	}
}

// notedCaller is a call that notes how its wait ended.
type notedCaller struct {
	w   Waiter
	r   *Replica
	err error
}

func (c *notedCaller) OnSlot(r *Replica, err error) { c.r, c.err = r, err }
