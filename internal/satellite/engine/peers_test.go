package engine

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// startEngines starts n engines of one launch; tokens are theirs, the last
// one for all that have none of their own.
func startEngines(t *testing.T, n int, routes config.Routes, tokens ...string) []*testEngine {
	t.Helper()
	var (
		listeners []net.Listener
		addresses []string
		engines   []*testEngine
	)
	for range n {
		ln := listenTest(t)
		listeners, addresses = append(listeners, ln), append(addresses, ln.Addr().String())
	}
	for i, ln := range listeners {
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte(tokens[min(i, len(tokens)-1)]), 0o600); err != nil {
			t.Fatal(err)
		}
		engines = append(engines, startEngineOn(t, ln, Options{Peers: addresses, TokenFile: token}, routes))
	}
	return engines
}

// linked waits until each engine has n links.
func linked(t *testing.T, n int, engines ...*testEngine) {
	t.Helper()
	for i, e := range engines {
		eventually(t, fmt.Sprintf("engine %d has %d links", i, n), func() bool { return e.mesh.State().Links == n })
	}
}

func oneAlgorithm(limit int, endpoints ...string) config.Routes {
	r := lsRoute("foo/bar", endpoints...)
	r.Queue.Limit = limit
	return config.Routes{Algorithms: []config.Route{r}}
}

// callBoth makes n calls on each of eight connections, by turns to each engine.
func callBoth(t *testing.T, n int, engines ...*testEngine) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range n {
				body := fmt.Sprintf("call %d of %d", j, i)
				if got := engines[i%len(engines)].do(request{body: body}); got.status != 200 || !strings.Contains(got.body, body) {
					t.Errorf("call = %d %s, want %q", got.status, got.body, body)
				}
			}
		})
	}
	wg.Wait()
}

func TestTwoEnginesNeverShareASlot(t *testing.T) {
	replicas := []*strictLangserver{newStrict(t, nil), newStrict(t, nil)}
	engines := startEngines(t, 3, oneAlgorithm(0, replicas[0].addr, replicas[1].addr), "secret")
	linked(t, 2, engines...)
	callBoth(t, 50, engines...)
	total := 0
	for _, s := range replicas {
		total += s.count(&s.calls)
		if n := s.count(&s.most); n != 1 {
			t.Errorf("a replica had %d calls at once, want 1", n)
		}
	}
	if total != 400 {
		t.Errorf("%d calls reached the replicas, want 400", total)
	}
	owners := 0
	for _, e := range engines {
		eventually(t, "nothing is in use", func() bool {
			s := e.table.Load().Routes[0].Pool.State()
			return s.InFlight == 0 && s.Queued == 0
		})
		p := e.table.Load().Routes[0].Pool
		if !p.State().OwnsSlots {
			continue
		}
		owners++
		eventually(t, "the slot owner counts no slot in use", func() bool { return p.State().SlotsInUse == 0 })
	}
	if owners != 1 {
		t.Errorf("%d engines grant the algorithm's slots, want one", owners)
	}
	eventually(t, "the counts of all engines come together", func() bool {
		return engines[0].Totals().Algorithms[0].Calls == 400 && engines[0].Totals().Engines == 3
	})
}

// TestOneQueueForAllEngines: the queue's limit and its order hold over all.
func TestOneQueueForAllEngines(t *testing.T) {
	enter, leave := make(chan string, 8), make(chan bool)
	s := newStrict(t, func(c lsCall) (int, string) {
		enter <- string(c.body)
		waittest.Hold(t, leave)
		return 200, `{"result":"done"}`
	})
	engines := startEngines(t, 2, oneAlgorithm(2, s.addr), "secret")
	linked(t, 1, engines...)
	answers := make(chan response, 3)
	for i, name := range []string{"first", "second", "third"} {
		go func() { answers <- engines[i%2].do(request{body: name}) }()
		if i == 0 {
			if got := waittest.Receive(t, "a call reaches its replica", enter); got != name {
				t.Fatalf("the replica got %q, want %q", got, name)
			}
			continue
		}
		eventually(t, name+" queues", func() bool {
			n := 0
			for _, e := range engines {
				n += e.table.Load().Routes[0].Pool.State().Queued
			}
			return n == i
		})
	}
	for i, e := range engines {
		if got := e.do(request{}); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("call at engine %d with a full queue = %d %s, want 429", i, got.status, got.body)
		}
	}
	waittest.Send(t, "a call that runs", leave, true)
	for _, want := range []string{"second", "third"} {
		if got := waittest.Receive(t, "a call reaches its replica", enter); got != want {
			t.Errorf("the replica got %q, want %q: first come first served", got, want)
		}
		waittest.Send(t, "a call that runs", leave, true)
	}
	for range 3 {
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 200 {
			t.Errorf("call = %d %s, want 200", got.status, got.body)
		}
	}
}

// TestEnginesComeAndGo: an engine that drains hands over what it grants, and
// one that comes takes its part, with calls in flight all the time.
func TestEnginesComeAndGo(t *testing.T) {
	replicas := []*strictLangserver{newStrict(t, nil), newStrict(t, nil)}
	routes := oneAlgorithm(0, replicas[0].addr, replicas[1].addr)
	engines := startEngines(t, 3, routes, "secret")
	linked(t, 2, engines...)
	stop := make(chan bool)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf("call %d of %d", n, i)
				if got := engines[0].do(request{body: body}); got.status != 200 || !strings.Contains(got.body, body) {
					t.Errorf("call = %d %s, want %q", got.status, got.body, body)
				}
			}
		})
	}
	for i := 1; i < 3; i++ {
		before := replicas[0].count(&replicas[0].calls)
		eventually(t, "calls go on", func() bool { return replicas[0].count(&replicas[0].calls) > before+50 })
		engines[i].stop()
		linked(t, 2-i, engines[0])
	}
	before := replicas[1].count(&replicas[1].calls)
	eventually(t, "calls go on", func() bool { return replicas[1].count(&replicas[1].calls) > before+50 })
	close(stop)
	wg.Wait()
	for _, s := range replicas {
		if n := s.count(&s.most); n != 1 {
			t.Errorf("a replica had %d calls at once, want 1", n)
		}
	}
	if s := engines[0].table.Load().Routes[0].Pool.State(); !s.OwnsSlots {
		t.Error("the last engine does not grant the slots")
	}
}

// ownerAndOther are two engines before one replica, whose calls say on enter
// that they run, and end with leave.
func ownerAndOther(t *testing.T) (s *strictLangserver, owner, other *testEngine, enter <-chan bool, leave chan<- bool) {
	t.Helper()
	entered, left := make(chan bool, 8), make(chan bool)
	s = newStrict(t, func(lsCall) (int, string) {
		entered <- true
		waittest.Hold(t, left)
		return 200, `{"result":"done"}`
	})
	engines := startEngines(t, 2, oneAlgorithm(10, s.addr), "secret")
	linked(t, 1, engines...)
	owner, other = engines[0], engines[1]
	if !owner.table.Load().Routes[0].Pool.State().OwnsSlots {
		owner, other = other, owner
	}
	return s, owner, other, entered, left
}

// TestCallsOfALostGranter: calls that wait at an engine that is gone at once,
// with no goodbye, wait on at the next.
func TestCallsOfALostGranter(t *testing.T) {
	s, owner, other, enter, leave := ownerAndOther(t)
	answers := make(chan response, 2)
	go func() { answers <- other.do(request{}) }()
	waittest.Receive(t, "a call reaches its replica", enter)
	go func() { answers <- other.do(request{}) }()
	eventually(t, "the second call waits at the owner", func() bool {
		return owner.table.Load().Routes[0].Pool.State().QueueLength == 1
	})
	owner.mesh.Cut(peer.ErrHungUp)
	owner.stop()
	eventually(t, "the other engine grants", func() bool { return other.table.Load().Routes[0].Pool.State().OwnsSlots })
	waittest.Send(t, "a call that runs", leave, true)
	waittest.Receive(t, "a call reaches its replica", enter)
	waittest.Send(t, "a call that runs", leave, true)
	for range 2 {
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 200 || !strings.Contains(got.body, "done") {
			t.Errorf("call = %d %s, want done", got.status, got.body)
		}
	}
	if n := s.count(&s.most); n != 1 {
		t.Errorf("the replica had %d calls at once, want 1", n)
	}
}

// TestCallsOfADrainingGranter: calls that wait at an engine when it begins to
// drain are asked for at the next one, which may not know yet that it is.
func TestCallsOfADrainingGranter(t *testing.T) {
	s, owner, other, enter, leave := ownerAndOther(t)
	answers := make(chan response, 4)
	call := func(e *testEngine) { answers <- e.do(request{}) }
	go call(owner)
	waittest.Receive(t, "a call reaches its replica", enter)
	for range 2 {
		go call(owner)
	}
	go call(other)
	eventually(t, "the others wait at the owner", func() bool {
		return owner.table.Load().Routes[0].Pool.State().QueueLength == 3
	})
	owner.stop()
	eventually(t, "they wait at the other engine", func() bool {
		s := other.table.Load().Routes[0].Pool.State()
		return s.OwnsSlots && s.QueueLength == 3
	})
	for i := range 4 {
		if i > 0 {
			waittest.Receive(t, "a call reaches its replica", enter)
		}
		waittest.Send(t, "a call that runs", leave, true)
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 200 || !strings.Contains(got.body, "done") {
			t.Errorf("call = %d %s, want done", got.status, got.body)
		}
	}
	if n := s.count(&s.most); n != 1 {
		t.Errorf("the replica had %d calls at once, want 1", n)
	}
}

// TestCallsOfAnAlgorithmThatItsGranterDoesNotKnowYet: of two engines, each
// reads new routes in its own time.
func TestCallsOfAnAlgorithmThatItsGranterDoesNotKnowYet(t *testing.T) {
	s := newStrict(t, nil)
	engines := startEngines(t, 2, oneAlgorithm(0, s.addr), "secret")
	linked(t, 1, engines...)
	routes := oneAlgorithm(0, s.addr)
	for i := range 16 { // with so many, each engine grants some
		routes.Algorithms = append(routes.Algorithms, lsRoute(fmt.Sprintf("foo/new%d", i), s.addr))
	}
	engines[0].writeRoutes(routes)
	eventually(t, "the first engine knows them", func() bool { return len(engines[0].table.Load().Routes) == len(routes.Algorithms) })
	var early string
	for _, r := range engines[0].table.Load().Routes[1:] {
		if !r.Pool.State().OwnsSlots {
			early = r.VanityURL
		}
	}
	answer := make(chan response)
	go func() { answer <- engines[0].do(request{path: callPrefix + early}) }()
	eventually(t, "the call waits, and its owner was asked more than once", func() bool {
		return engines[0].mesh.State().Requests > 1
	})
	engines[1].writeRoutes(routes)
	if got := waittest.Receive(t, "the answer to the call that waits", answer); got.status != 200 {
		t.Errorf("call = %d %s, want 200", got.status, got.body)
	}
}

// TestTheRateOfAKeyHoldsOverAllEngines: what one serves, the others count.
func TestTheRateOfAKeyHoldsOverAllEngines(t *testing.T) {
	engines := startEngines(t, 2, oneAlgorithm(0, newStrict(t, nil).addr), "secret")
	linked(t, 1, engines...)
	for _, e := range engines {
		e.writeKeys(config.Key{ID: "k1", SHA256: config.HashKey(testKey), Rate: constellation.KeyRate{PerSecond: .001, Burst: 6}})
		eventually(t, "the rate is in use", func() bool {
			rate, _ := e.keys.Rate("k1")
			return rate.PerSecond > 0
		})
	}
	left := func(e *testEngine) int {
		_, left := e.keys.Rate("k1")
		return left
	}
	for i := range 6 {
		if got := engines[i%2].do(request{}); got.status != 200 {
			t.Errorf("call %d = %d %s, want 200", i, got.status, got.body)
		}
		for _, e := range engines {
			eventually(t, fmt.Sprintf("%d calls are left", 5-i), func() bool { return left(e) == 5-i })
		}
	}
	for i, e := range engines {
		if got := e.do(request{}); got.status != 429 || got.header.Get("Retry-After") == "" {
			t.Errorf("a call too many at engine %d = %d %s, want 429 with Retry-After", i, got.status, got.body)
		}
	}
}

func TestOnlyTheLaunchsEnginesLink(t *testing.T) {
	s := newStrict(t, nil)
	engines := startEngines(t, 2, oneAlgorithm(0, s.addr), "secret", "another")
	for i, e := range engines {
		eventually(t, "the engine has tried", func() bool {
			return e.mesh.State().Tried == 2
		})
		if n := e.mesh.State().Links; n != 0 {
			t.Errorf("engine %d has %d links to one with another token, want none", i, n)
		}
		eventually(t, "it is ready all the same", func() bool { return e.do(request{method: "GET", path: "/readyz"}).status == 200 })
	}
	for name, header := range map[string]string{
		"nothing": "Connection: close\r\n", "no nonce": "Connection: close\r\nUpgrade: constellation-peer-2\r\nX-Peer-Id: x\r\n",
		"a nonce and no proof": "Connection: Upgrade\r\nUpgrade: constellation-peer-2\r\nX-Peer-Id: x\r\nX-Peer-Nonce: " + strings.Repeat("1", 64) + "\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(engines[0].url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", peer.Path, header, strings.Repeat("0", 64))
		data, _ := io.ReadAll(conn)
		_ = conn.Close()
		if !strings.Contains(string(data), "404 Not Found") && !strings.Contains(string(data), "101 Switching") {
			t.Errorf("%s: the engine answered %q", name, data)
		}
		if n := engines[0].mesh.State().Links; n != 0 {
			t.Errorf("%s: the engine has %d links, want none", name, n)
		}
	}
	if _, err := New(t.Context(), Options{Dir: engines[0].dir, Peers: []string{"127.0.0.1:1"}}); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("New with peers and no token = %v, want an error that says so", err)
	}
}
