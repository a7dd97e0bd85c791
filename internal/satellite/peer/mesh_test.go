package peer

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// engine is a mesh with its pools, on a TCP port of its own.
type engine struct {
	*Mesh
	pools []*pool.Pool
	peers []string
	// refuse ends accepting links, as an engine does before it stops.
	refuse, stop func()

	mu    sync.Mutex
	spent []string
}

func (e *engine) Pool(algorithm string) *pool.Pool {
	for _, p := range e.pools {
		if p.Algorithm() == algorithm {
			return p
		}
	}
	return nil
}

func (e *engine) Pools() []*pool.Pool { return e.pools }

func (e *engine) PeerReport() []byte { return []byte("report of " + e.id) }

func (e *engine) OnSpent(keyID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spent = append(e.spent, keyID)
}

func (e *engine) spentKeys() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.spent)
}

func (e *engine) Engines() []string { return e.peers }

func (e *engine) Complete() bool { return true }

// startEngines starts an engine for each secret. Each has 8 algorithms, whose two
// replicas have one slot each.
func startEngines(t *testing.T, secrets ...string) []*engine {
	t.Helper()
	var (
		listeners []net.Listener
		addresses []string
		engines   []*engine
	)
	for range secrets {
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners, addresses = append(listeners, ln), append(addresses, ln.Addr().String())
	}
	for i, secret := range secrets {
		e := &engine{peers: addresses}
		for n := range 8 {
			p := pool.New(pool.Options{Algorithm: fmt.Sprintf("foo/bar%d", n), Limits: pool.Limits{Concurrency: 1, QueueLimit: 100}})
			p.SetReplicas([]string{"a:1", "b:1"})
			e.pools = append(e.pools, p)
		}
		ctx, cancel := context.WithCancel(context.Background())
		e.Mesh = New(ctx, Options{Secret: Secret([]byte(secret)), Host: e, Finder: e, Loop: noLoop{}, Log: slog.New(slog.DiscardHandler)})
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !e.Accept(w, r) {
				http.NotFound(w, r)
			}
		})}
		var tasks sync.WaitGroup
		tasks.Go(func() { _ = server.Serve(listeners[i]) })
		tasks.Go(func() { e.Run(ctx) })
		e.refuse = func() { _ = server.Close() }
		e.stop = func() { e.refuse(); cancel(); tasks.Wait() }
		t.Cleanup(e.stop)
		engines = append(engines, e)
	}
	return engines
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// settled reports whether the engine has n links and will not replace any of them
// by one that the other end dialed at the same time.
func (e *engine) settled(n int) bool {
	for _, l := range e.all() {
		if l.dialer != min(e.id, l.id) {
			return false
		}
	}
	return e.State().Links == n
}

// agreed waits until the engines are linked and each algorithm has one owner.
func agreed(t *testing.T, engines ...*engine) {
	t.Helper()
	eventually(t, "each algorithm has one slot owner", func() bool {
		for n := range engines[0].pools {
			owners := 0
			for _, e := range engines {
				if !e.settled(len(engines) - 1) {
					return false
				}
				if e.pools[n].State().OwnsSlots {
					owners++
				}
			}
			if owners != 1 {
				return false
			}
		}
		return true
	})
}

// TestSlotsAreHandedOutOnce: whatever engine calls come to, and while an engine
// drains and leaves, no replica has two calls at once, and each call has its turn,
// whether somebody waits for its answer or not.
func TestSlotsAreHandedOutOnce(t *testing.T) {
	engines := startEngines(t, "secret", "secret", "secret")
	agreed(t, engines...)
	var (
		mu     sync.Mutex
		inUse  = map[string]int{}
		served int
		calls  sync.WaitGroup
	)
	for i := range 16 {
		calls.Go(func() {
			p, class := engines[i%2].pools[i%4], pool.ClassSync
			wait := func() (*pool.Replica, error) {
				return p.Wait(t.Context(), "key", time.Now().Add(time.Minute), false)
			}
			if i >= 12 {
				class = pool.ClassDurable
				wait = func() (*pool.Replica, error) { return p.WaitDurable(t.Context(), time.Now().Add(time.Minute), false) }
			}
			for range 50 {
				r, err := wait()
				if err != nil {
					t.Errorf("Wait = %v", err)
					return
				}
				replica := p.Algorithm() + " " + r.Addr()
				mu.Lock()
				served++
				if inUse[replica]++; inUse[replica] > 1 {
					t.Errorf("%s has %d calls at once, want 1", replica, inUse[replica])
				}
				mu.Unlock()
				mu.Lock()
				inUse[replica]--
				mu.Unlock()
				p.Release(r, class, pool.OutcomeOK)
			}
		})
	}
	eventually(t, "calls are served", func() bool { mu.Lock(); defer mu.Unlock(); return served > 100 })
	engines[2].refuse()
	engines[2].Drain()
	for _, p := range engines[2].pools {
		if p.State().OwnsSlots {
			t.Errorf("an engine that drains owns the slots of %s", p.Algorithm())
		}
	}
	engines[2].stop()
	calls.Wait()
	agreed(t, engines[:2]...)
	if served != 800 {
		t.Errorf("%d calls were served, want 800", served)
	}
	for _, e := range engines[:2] {
		for _, p := range e.pools {
			eventually(t, "no slot is in use", func() bool { s := p.State(); return s.SlotsInUse == 0 && s.QueueLength == 0 && s.DurableInUse == 0 })
		}
	}
}

// TestACallWhoseSlotOwnerIsGone waits on at the next one.
func TestACallWhoseSlotOwnerIsGone(t *testing.T) {
	engines := startEngines(t, "secret", "secret")
	agreed(t, engines...)
	owner, other := engines[0], engines[1]
	if !owner.pools[0].State().OwnsSlots {
		owner, other = other, owner
	}
	p := other.pools[0]
	var held []*pool.Replica
	for range 2 {
		r, err := p.Wait(t.Context(), "key", time.Now().Add(2*time.Minute), false)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, r)
	}
	got := make(chan error, 1)
	go func() {
		r, err := p.Wait(t.Context(), "key", time.Now().Add(2*time.Minute), false)
		if err == nil {
			p.Release(r, pool.ClassSync, pool.OutcomeOK)
		}
		got <- err
	}()
	eventually(t, "the call waits at the owner", func() bool { return owner.pools[0].State().QueueLength == 1 })
	owner.stop()
	eventually(t, "the call waits here", func() bool { return p.State().QueueLength == 1 })
	if s := p.State(); s.SlotsInUse != 2 {
		t.Errorf("the new owner counts %d slots in use, want 2", s.SlotsInUse)
	}
	for _, r := range held {
		p.Release(r, pool.ClassSync, pool.OutcomeOK)
	}
	if err := waittest.Receive(t, "the slot", got); err != nil {
		t.Errorf("the call ends with %v, want a slot", err)
	}
}

// TestWhatEnginesTellEachOther: reports, and the keys that calls were made with.
func TestWhatEnginesTellEachOther(t *testing.T) {
	engines := startEngines(t, "secret", "secret")
	agreed(t, engines...)
	for i, e := range engines {
		other := engines[1-i]
		eventually(t, "the report is there", func() bool {
			reports := e.Reports()
			return len(reports) == 1 && reports[0] == "report of "+other.id
		})
		e.NotifySpent(fmt.Sprint("key", i))
		eventually(t, "the other engine counts the call", func() bool { return other.spentKeys() == fmt.Sprintf("[key%d]", i) })
	}
}

// TestStrangersDoNotLink: engines of another launch, and those without a token.
func TestStrangersDoNotLink(t *testing.T) {
	engines := startEngines(t, "secret", "another", "")
	for i, e := range engines[:2] {
		eventually(t, "the others were tried", func() bool { return e.State().Tried == 3 })
		if n := e.State().Links; n != 0 {
			t.Errorf("engine %d has %d links, want none", i, n)
		}
	}
	for i, e := range engines {
		if !e.Joined() {
			t.Errorf("engine %d waits for engines that it cannot link to", i)
		}
	}
}
