package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

func soon() time.Time { return time.Now().Add(20 * time.Second) }

func (p *pool) waiting() int { return p.state().queued }

func mustAcquire(t *testing.T, p *pool) *replica {
	t.Helper()
	r, err := p.wait(t.Context(), "k", soon(), false)
	if err != nil {
		t.Fatalf("acquire = %v", err)
	}
	return r
}

func TestPoolServesFirstComeFirst(t *testing.T) {
	p := newPool("foo/bar", 1, 10)
	p.setReplicas([]string{"a"})
	r := mustAcquire(t, p)
	var (
		mu    sync.Mutex
		order []int
		wg    sync.WaitGroup
	)
	for i := range 5 {
		wg.Go(func() {
			r, err := p.wait(context.Background(), "k", soon(), false)
			if err != nil {
				t.Errorf("acquire %d = %v", i, err)
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			p.release(r, verdictFine)
		})
		eventually(t, "the call queues", func() bool { return p.waiting() == i+1 })
	}
	p.release(r, verdictFine)
	wg.Wait()
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("order = %v, want %v", order, want)
	}
}

func TestPoolPicksTheReplicaWithTheFewestCalls(t *testing.T) {
	p := newPool("foo/bar", 3, 10)
	p.setReplicas([]string{"a", "b", "c"})
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
	p := newPool("foo/bar", 1, 1)
	if _, err := p.wait(t.Context(), "k", soon(), false); !errors.Is(err, errNoReplica) {
		t.Errorf("acquire without replicas = %v, want %v", err, errNoReplica)
	}
	p.setReplicas([]string{"a"})
	r := mustAcquire(t, p)
	if _, err := p.wait(t.Context(), "k", time.Now(), false); !errors.Is(err, errWaitedOut) {
		t.Errorf("acquire past its deadline = %v, want %v", err, errWaitedOut)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := p.wait(ctx, "k", soon(), false); result <- err }()
	eventually(t, "the call queues", func() bool { return p.waiting() == 1 })
	if _, err := p.wait(t.Context(), "k", soon(), false); !errors.Is(err, errQueueFull) {
		t.Errorf("acquire with a full queue = %v, want %v", err, errQueueFull)
	}
	cancel()
	if err := <-result; !errors.Is(err, errCallerGone) {
		t.Errorf("acquire of a caller who left = %v, want %v", err, errCallerGone)
	}
	if n := p.waiting(); n != 0 {
		t.Errorf("%d calls wait after the caller left, want 0", n)
	}
	go func() { _, err := p.wait(context.Background(), "k", soon(), false); result <- err }()
	eventually(t, "the call queues", func() bool { return p.waiting() == 1 })
	p.close()
	if err := <-result; !errors.Is(err, errRouteClosed) {
		t.Errorf("acquire of a removed algorithm = %v, want %v", err, errRouteClosed)
	}
	p.release(r, verdictFine)
}

func TestPoolRetriesWaitAtTheFront(t *testing.T) {
	p := newPool("foo/bar", 1, 1)
	p.setReplicas([]string{"a"})
	r := mustAcquire(t, p)
	first := make(chan string, 2)
	go func() {
		r, _ := p.wait(context.Background(), "k", soon(), false)
		first <- "new"
		p.release(r, verdictFine)
	}()
	eventually(t, "the call queues", func() bool { return p.waiting() == 1 })
	go func() {
		r, _ := p.wait(context.Background(), "k", soon(), true)
		first <- "again"
		p.release(r, verdictFine)
	}()
	eventually(t, "the retry queues though the queue is full", func() bool { return p.waiting() == 2 })
	p.release(r, verdictFine)
	if got := <-first; got != "again" {
		t.Errorf("the first one served is the %s call, want the retried one", got)
	}
	<-first
}

func TestPoolHoldsAReplicaThatLeavesAndComesBackToItsCalls(t *testing.T) {
	p := newPool("foo/bar", 1, 10)
	p.setReplicas([]string{"a"})
	r := mustAcquire(t, p)
	p.setReplicas(nil)
	if _, err := p.wait(t.Context(), "k", soon(), false); !errors.Is(err, errNoReplica) {
		t.Errorf("acquire of a replica that left = %v, want %v", err, errNoReplica)
	}
	p.setReplicas([]string{"a"})
	if _, err := p.wait(t.Context(), "k", time.Now(), false); !errors.Is(err, errWaitedOut) {
		t.Errorf("acquire while the old call runs = %v, want %v: its slot is taken", err, errWaitedOut)
	}
	p.release(r, verdictFine)
	p.release(mustAcquire(t, p), verdictFine)

	r = mustAcquire(t, p)
	p.setReplicas([]string{"b"})
	p.release(r, verdictFine)
	if s := p.state(); s.inFlight != 0 || len(p.lingering) != 0 {
		t.Errorf("after the last call of a replica that left: %+v, %d lingering, want nothing", s, len(p.lingering))
	}
}

func TestPoolServesTheQueueWhenAReplicaComes(t *testing.T) {
	p := newPool("foo/bar", 1, 10)
	p.setReplicas([]string{"a"})
	a := mustAcquire(t, p)
	got := make(chan string, 1)
	go func() {
		r, err := p.wait(context.Background(), "k", soon(), false)
		if err == nil {
			got <- r.addr
			p.release(r, verdictFine)
		}
	}()
	eventually(t, "the call queues", func() bool { return p.waiting() == 1 })
	p.setReplicas([]string{"a", "b"})
	if addr := <-got; addr != "b" {
		t.Errorf("the waiting call went to %s, want b", addr)
	}
	p.release(a, verdictFine)
}

func TestPoolPutsARefusingReplicaAside(t *testing.T) {
	p := newPool("foo/bar", 1, 10)
	p.setReplicas([]string{"a", "b"})
	r := mustAcquire(t, p)
	other := map[string]string{"a": "b", "b": "a"}[r.addr]
	p.release(r, verdictRefused)
	for range 3 {
		next := mustAcquire(t, p)
		if next.addr != other {
			t.Errorf("acquire = %s, want %s: the other is aside", next.addr, other)
		}
		p.release(next, verdictFine)
	}
	eventually(t, "the replica is back after a moment", func() bool { return p.state().ready == 2 })
}

// TestPoolUnderLoad is for the race detector and for the counts: slots are
// never exceeded and none is lost.
func TestPoolUnderLoad(t *testing.T) {
	const concurrency = 2
	p := newPool("foo/bar", concurrency, 1000)
	p.setReplicas([]string{"a", "b", "c"})
	var (
		mu  sync.Mutex
		now = map[*replica]int{}
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
				p.setReplicas([]string{"a", "b", "c", "d"}[:3+i%2])
			}
			r, err := p.wait(ctx, "k", soon(), i%5 == 0)
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
			p.release(r, verdictFine)
		})
	}
	wg.Wait()
	if s := p.state(); s.inFlight != 0 || s.queued != 0 {
		t.Errorf("after the load: %+v, want nothing in flight or queued", s)
	}
}
