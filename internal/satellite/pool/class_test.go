package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// model drives a pool without goroutines and clocks: time is a number of steps,
// and a tick of the pool is a second of it.
type model struct {
	t     *testing.T
	p     *Pool
	ticks []func()
	calls []*modelCall // in flight
}

// modelCall is a call, its own caller.
type modelCall struct {
	w       Waiter
	m       *model
	arrived int
	granted int // step, -1 while it waits
	ends    int
	replica *Replica
	err     error
	now     *int
	length  int
}

func (c *modelCall) OnSlot(r *Replica, err error) {
	c.replica, c.err, c.granted = r, err, *c.now
	if r != nil {
		c.ends = *c.now + c.length
		c.m.calls = append(c.m.calls, c)
	}
}

func newModel(t *testing.T, replicas int, l Limits) *model {
	m := &model{t: t, p: New(Options{Algorithm: "foo/bar", Limits: l})}
	m.p.after = func(_ time.Duration, f func()) { m.ticks = append(m.ticks, f) }
	var addresses []string
	for i := range replicas {
		addresses = append(addresses, fmt.Sprint("r", i))
	}
	m.p.SetReplicas(addresses)
	return m
}

// second lets the pool's timers run.
func (m *model) second() {
	ticks := m.ticks
	m.ticks = nil
	for _, f := range ticks {
		f()
	}
}

func (m *model) start(class Class, now *int, length int) *modelCall {
	c := &modelCall{m: m, arrived: *now, granted: -1, now: now, length: length}
	c.w = Waiter{Caller: c, Class: class, Key: "k"}
	if r, err := m.p.Acquire(&c.w); r != nil || err != nil {
		c.OnSlot(r, err)
	}
	return c
}

// end releases what ends at the step.
func (m *model) end(now int) {
	running := m.calls
	m.calls = nil
	for _, c := range running {
		if c.ends <= now {
			m.p.Release(c.replica, c.w.Class, OutcomeOK)
		} else {
			m.calls = append(m.calls, c)
		}
	}
}

// held returns how many calls of a class run.
func (m *model) held(class Class) (n int) {
	for _, c := range m.calls {
		if c.w.Class == class {
			n++
		}
	}
	return n
}

// With one slot, each fifth call is a durable one while both wait.
func TestDurableCallsGetEachFifthTurnOfOneSlot(t *testing.T) {
	m, now := newModel(t, 1, Limits{Concurrency: 1, QueueLimit: 1000}), 0
	m.start(ClassSync, &now, 1)
	for range 100 {
		m.start(ClassSync, &now, 1)
		m.start(ClassDurable, &now, 1)
	}
	var order string
	for now = 1; now <= 50; now++ {
		m.end(now)
		order += map[Class]string{ClassSync: "s", ClassDurable: "d"}[m.calls[0].w.Class]
	}
	if want := "ssssdssssdssssdssssdssssdssssdssssdssssdssssdssssd"; order != want {
		t.Errorf("served %s, want %s", order, want)
	}
}

// Durable calls that never end take their share of the slots from synchronous
// calls that wait, and no more.
func TestLongDurableCallsTakeNoMoreThanTheirShare(t *testing.T) {
	for _, test := range []struct{ replicas, concurrency, share, want int }{
		{1, 1, 20, 1}, {2, 1, 20, 1}, {5, 1, 20, 1}, {8, 1, 20, 2}, {10, 1, 20, 2}, {2, 16, 20, 7}, {4, 1, 100, 3}, {3, 1, 50, 2}, {2, 1, 1, 1},
	} {
		m, now := newModel(t, test.replicas, Limits{Concurrency: test.concurrency, QueueLimit: 10_000, SharePercent: test.share}), 0
		for range 5000 {
			m.start(ClassSync, &now, 1)
		}
		for range 50 {
			m.start(ClassDurable, &now, 1<<40)
		}
		for now = 1; now <= 150; now++ {
			m.end(now)
		}
		if got := m.held(ClassDurable); got != test.want {
			t.Errorf("%+v: durable calls have %d slots, want %d", test, got, test.want)
		}
	}
}

// A synchronous flood does not starve durable calls, nor the other way round, and
// each class is served in its order; over random loads.
func TestNoClassStarves(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 13))
		limits := Limits{Concurrency: 1 + r.IntN(4), QueueLimit: 1 << 20, SharePercent: 1 + r.IntN(60)}
		replicas := 1 + r.IntN(6)
		slots := replicas * limits.Concurrency
		m, now := newModel(t, replicas, limits), 0
		var all [classes][]*modelCall
		rate := [classes]float64{ClassSync: r.Float64() * 2 * float64(slots), ClassDurable: r.Float64() * 2 * float64(slots)}
		var served [classes]int
		for now = range 2000 {
			m.end(now)
			if now%50 == 0 {
				m.second()
			}
			for c := range Class(classes) {
				for n := rate[c]; n > 0 && r.Float64() < n; n-- {
					if c == ClassSync || m.p.durable.n() < 20 {
						all[c] = append(all[c], m.start(c, &now, 1+r.IntN(5)))
					}
				}
			}
			checkSlots(t, m, limits.Concurrency)
		}
		for c := range Class(classes) {
			last := -1
			for i, call := range all[c] {
				if call.granted >= 0 {
					served[c]++
					if i != last+1 {
						t.Fatalf("seed %d: a call of class %d was served before one that came first", seed, c)
					}
					last = i
				}
			}
			// A share of 1 % of one slot is some twenty turns of calls that take
			// up to 5 steps.
			if want := min(len(all[c])*9/10, 2); served[c] < want {
				t.Errorf("seed %d: %d of %d calls of class %d were served, %+v, rates %v", seed, served[c], len(all[c]), c, limits, rate)
			}
		}
	}
}

func checkSlots(t *testing.T, m *model, concurrency int) {
	t.Helper()
	now := map[*Replica]int{}
	for _, c := range m.calls {
		if now[c.replica]++; now[c.replica] > concurrency {
			t.Fatalf("replica %s has %d calls, want at most %d", c.replica.addr, now[c.replica], concurrency)
		}
	}
	if got, want := m.p.held, (counts{m.held(ClassSync), m.held(ClassDurable)}); got != want {
		t.Fatalf("the pool counts %v, want %v", got, want)
	}
}

// waits returns how long synchronous calls waited, in order of length: a burst of
// calls comes each 20 steps, on 16 slots, beside durable calls that always wait.
func waits(t *testing.T, durable bool) []int {
	m, now := newModel(t, 16, Limits{Concurrency: 1, QueueLimit: 1000}), 0
	r := rand.New(rand.NewPCG(7, 7))
	var syncs []*modelCall
	for now = range 20_000 {
		m.end(now)
		if now%100 == 0 {
			m.second()
		}
		for durable && m.p.durable.n() < 2 {
			m.start(ClassDurable, &now, 50+r.IntN(100))
		}
		if now%20 == 0 {
			for range 1 + r.IntN(6) {
				syncs = append(syncs, m.start(ClassSync, &now, 10+r.IntN(20)))
			}
		}
	}
	var out []int
	for _, c := range syncs[len(syncs)/10:] { // once its demand is known
		if c.granted < 0 {
			t.Fatal("a synchronous call was never served")
		}
		out = append(out, c.granted-c.arrived+c.length)
	}
	slices.Sort(out)
	return out
}

// The latency of synchronous calls stays what it is while durable ones wait
// without end: head-room is kept for them.
func TestSynchronousLatencyBesideDurableCalls(t *testing.T) {
	alone, beside := waits(t, false), waits(t, true)
	for _, q := range []float64{0.5, 0.99} {
		a, b := alone[int(q*float64(len(alone)))], beside[int(q*float64(len(beside)))]
		t.Logf("p%v: %d steps alone, %d beside durable calls", q*100, a, b)
		if float64(b) > 1.2*float64(a) {
			t.Errorf("p%v is %d steps beside durable calls, want at most 1.2 of %d", q*100, b, a)
		}
	}
}

// What is kept free for synchronous calls is given up once none came for a while,
// with no event but the clock's.
func TestHeadroomDecays(t *testing.T) {
	m, now := newModel(t, 4, Limits{Concurrency: 1, QueueLimit: 10, SharePercent: 25}), 0
	for range 3 {
		m.start(ClassSync, &now, 1)
	}
	now = 1
	m.end(now)
	for range 4 {
		m.start(ClassDurable, &now, 1000)
	}
	if got := m.held(ClassDurable); got != 1 {
		t.Fatalf("%d durable calls run though 3 of 4 slots were just in use, want 1", got)
	}
	for range demandTicks + 1 {
		m.second()
	}
	if got := m.held(ClassDurable); got != 4 {
		t.Errorf("%d durable calls run after a while without others, want 4", got)
	}
	if len(m.ticks) != 0 {
		t.Errorf("the pool's clock runs on without calls")
	}
}

// Durable calls neither fill the synchronous calls' queue nor are evicted from
// theirs, and wait though there is no replica.
func TestDurableCallsAreBesideTheQueueLimit(t *testing.T) {
	m, now := newModel(t, 0, Limits{Concurrency: 1, QueueLimit: 2}), 0
	early := m.start(ClassDurable, &now, 1)
	if early.err != nil || early.granted >= 0 {
		t.Fatalf("a durable call without a replica = %v, want it to wait", early.err)
	}
	again := &modelCall{m: m, granted: -1, now: &now}
	again.w = Waiter{Caller: again, Class: ClassDurable, Retry: true}
	if _, err := m.p.Acquire(&again.w); !errors.Is(err, ErrNoReplica) {
		t.Errorf("a durable call that comes back = %v, want %v", err, ErrNoReplica)
	}
	m.p.SetReplicas([]string{"a"})
	if early.replica == nil {
		t.Fatal("the durable call was not served when a replica came")
	}
	var durable []*modelCall
	for range 10 {
		durable = append(durable, m.start(ClassDurable, &now, 1))
	}
	m.start(ClassSync, &now, 1)
	m.start(ClassSync, &now, 1)
	if c := m.start(ClassSync, &now, 1); !errors.Is(c.err, ErrQueueFull) {
		t.Errorf("a third synchronous call = %v, want %v", c.err, ErrQueueFull)
	}
	if !m.p.Cancel(&durable[3].w) {
		t.Error("a durable call that waits cannot be canceled")
	}
	if s := m.p.State(); s.Queued != 2 || s.QueueLength != 2 || s.SeekingDurable != 9 || s.DurableInUse != 1 {
		t.Errorf("state = %+v, want 2 queued and 9 durable calls that wait", s)
	}
	m.p.Close()
	for i, c := range durable {
		if i != 3 && !errors.Is(c.err, ErrClosed) {
			t.Errorf("durable call %d of a removed algorithm = %v, want %v", i, c.err, ErrClosed)
		}
	}
}

// borrower is an engine of which only what it borrows matters.
type borrower struct{ Peer }

// An engine of the version before claims and releases its durable calls as
// synchronous ones, and asks for them so; an engine that was replaced while calls
// ran may mix both. The counts come out right.
func TestSlotsOfAnEngineThatKnowsNoClasses(t *testing.T) {
	m, now := newModel(t, 2, Limits{Concurrency: 2, QueueLimit: 10}), 0
	by := &borrower{}
	m.p.OnClaim(by, "r0", ClassDurable, 1)
	m.p.OnClaim(by, "r0", ClassSync, 1)
	m.p.OnRelease(by, "r0", ClassSync, OutcomeOK)
	m.p.OnRelease(by, "r0", ClassSync, OutcomeOK)
	m.p.OnRelease(by, "r0", ClassSync, OutcomeOK)
	if s := m.p.State(); s.SlotsInUse != 0 || s.DurableInUse != 0 || m.p.held != (counts{}) {
		t.Errorf("after all releases: %+v, held %v; want nothing in use", s, m.p.held)
	}
	m.p.OnClaim(by, "r1", ClassDurable, 2)
	m.p.OnPeerGone(by)
	checkSlots(t, m, 2)
	m.start(ClassDurable, &now, 1)
	if got := m.held(ClassDurable); got != 1 {
		t.Errorf("%d durable calls run, want 1", got)
	}
}

// forgetful is a slot owner that has not read the new routes yet.
type forgetful struct {
	Peer
	asked chan uint64
	n     uint64
}

func (f *forgetful) Acquire(*Pool, *Waiter) uint64 {
	f.n++
	select {
	case f.asked <- f.n:
	default:
	}
	return f.n
}

func (f *forgetful) Cancel(uint64) {}

// A call whose owner says that there is no replica, since it does not know yet
// that one is to be started, is not refused: the owner is asked again.
func TestACallAsksAgainAnOwnerThatKnowsNoReplica(t *testing.T) {
	for _, test := range []struct {
		class Class
		wait  bool
		again bool
	}{{ClassSync, true, true}, {ClassDurable, false, true}, {ClassSync, false, false}} {
		p := New(Options{Algorithm: "foo/bar", Limits: Limits{Concurrency: 1, QueueLimit: 1, WaitForReplicas: test.wait}})
		owner := &forgetful{asked: make(chan uint64, 100)}
		p.SetOwner(owner)
		c := &notedCaller{}
		c.w = Waiter{Caller: c, Class: test.class}
		if _, err := p.Acquire(&c.w); err != nil {
			t.Fatal(err)
		}
		p.OnAnswer(owner, &c.w, <-owner.asked, "", ErrNoReplica)
		if !test.again {
			if !errors.Is(c.err, ErrNoReplica) {
				t.Errorf("%+v: the call ends with %v, want %v", test, c.err, ErrNoReplica)
			}
			continue
		}
		select {
		case <-owner.asked:
		case <-time.After(time.Minute):
			t.Fatalf("%+v: the owner is not asked again", test)
		}
		if !p.Cancel(&c.w) {
			t.Errorf("%+v: the call does not wait", test)
		}
	}
}

// TestALookIsNoLoad: a wait for a slot of which it is not known whether there is a
// call for it counts only while no replica is ready.
func TestALookIsNoLoad(t *testing.T) {
	m, now := newModel(t, 1, Limits{Concurrency: 1}), 0
	m.start(ClassDurable, &now, 1)
	look := &modelCall{m: m, granted: -1, now: &now}
	look.w = Waiter{Caller: look, Class: ClassDurable, Looking: true}
	if r, err := m.p.Acquire(&look.w); r != nil || err != nil {
		t.Fatalf("Acquire = %v, %v; want it to wait", r, err)
	}
	if s := m.p.State(); s.SeekingDurable != 0 {
		t.Errorf("a look beside a running call counts as %d calls that wait", s.SeekingDurable)
	}
	m.start(ClassDurable, &now, 1)
	if s := m.p.State(); s.SeekingDurable != 1 {
		t.Errorf("%d calls wait, want 1", s.SeekingDurable)
	}
	m.p.SetReplicas(nil)
	if s := m.p.State(); s.SeekingDurable != 2 {
		t.Errorf("%d calls wait without a replica, want 2", s.SeekingDurable)
	}
	m.p.Cancel(&look.w)
	if s := m.p.State(); s.SeekingDurable != 1 {
		t.Errorf("%d calls wait after the look, want 1", s.SeekingDurable)
	}
}
