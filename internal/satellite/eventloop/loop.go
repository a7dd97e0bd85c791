package eventloop

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Owner is what a loop works for. All its methods are called on the loop's
// goroutine.
type Owner interface {
	// Accept is called with a new connection, which the owner watches, hands
	// over or closes.
	Accept(s Socket)
	// Sweep is called every tenth of a second: no connection has a timer of its
	// own.
	Sweep(now time.Time)
	// MakeRoom is called when there is no descriptor for a new connection.
	MakeRoom()
	// Close is called last, when the loop stops.
	Close()
}

// Task is something to do on a loop.
type Task interface{ Run() }

// Loop is one event loop. Its methods are for its own goroutine, but for Post,
// PostFunc and Done.
type Loop struct {
	group  *Group
	owner  Owner
	poller poller
	acceptor

	mu       sync.Mutex
	tasks    []Task
	spare    []Task
	posted   atomic.Bool // there are tasks
	sleeping atomic.Bool
	later    []Task
	turns    int       // with something to do, since the last sweep
	busy     bool      // it has something to do all the time, and never waits long
	now      time.Time // when it began with what it is doing
	swept    time.Time
	stopping bool
	done     chan struct{}
}

// What an event that is not a connection's has in place of its descriptor.
const (
	wakeEvent     = -1
	listenerEvent = -2
)

const (
	sweepEvery = 100 * time.Millisecond
	// A loop that had something to do busyTurns times between two sweeps waits
	// without telling the runtime, for busyWait milliseconds at most. Else Go's
	// monitor takes the processor from a loop in almost every wait, which keeps
	// the monitor awake and makes loops wander between threads: 2 % of two
	// cores, and the end of the latencies. A quiet loop lets the monitor sleep.
	busyTurns = 100
	busyWait  = 1
	maxEvents = 256
)

func newLoop(g *Group) (*Loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("make an event loop: %w", err)
	}
	return &Loop{group: g, poller: p, acceptor: acceptor{listener: noSocket}, now: time.Now(), swept: time.Now(), done: make(chan struct{})}, nil
}

// Now returns when the loop began with what it is doing.
func (l *Loop) Now() time.Time { return l.now }

// Busy reports whether the loop had so much to do lately that it waits without
// telling the runtime.
func (l *Loop) Busy() bool { return l.busy }

// Stopping reports whether the loop is about to stop.
func (l *Loop) Stopping() bool { return l.stopping }

// Done returns a channel that is closed when the loop has stopped. A task that
// is posted later never runs.
func (l *Loop) Done() <-chan struct{} { return l.done }

// taskFunc is a function as a task.
type taskFunc func()

// Run calls the function.
func (f taskFunc) Run() { f() }

// PostFunc makes the loop call f soon. It never blocks, and may be called from
// any goroutine.
func (l *Loop) PostFunc(f func()) { l.Post(taskFunc(f)) }

// Post makes the loop run t soon. It never blocks, and may be called from any
// goroutine.
func (l *Loop) Post(t Task) {
	l.mu.Lock()
	l.tasks = append(l.tasks, t)
	l.posted.Store(true)
	l.mu.Unlock()
	if l.sleeping.CompareAndSwap(true, false) {
		l.poller.wakeUp()
	}
}

// Later makes the loop run t after the events that it is handling now, and
// before it waits again.
func (l *Loop) Later(t Task) { l.later = append(l.later, t) }

func (l *Loop) run() {
	defer close(l.done)
	events := make([]event, maxEvents)
	for !l.stopping {
		worked := l.runTasks()
		n, err := l.poller.poll(events, 0), error(nil)
		if n <= 0 && !worked {
			n, err = l.wait(events)
		}
		if err != nil {
			l.group.log.Error("wait for events", "error", err)
			time.Sleep(sweepEvery)
		}
		if n > 0 || worked {
			l.turns++
		}
		for i := range max(0, n) {
			l.handle(&events[i])
		}
		for len(l.later) > 0 {
			t := l.later[len(l.later)-1]
			l.later = l.later[:len(l.later)-1]
			l.do(t)
		}
		if l.now = time.Now(); l.now.Sub(l.swept) >= sweepEvery {
			l.swept = l.now
			l.busy, l.turns = l.turns >= busyTurns, 0
			l.sweep()
		}
	}
	l.refuse()
	l.owner.Close()
	l.poller.close()
}

// wait waits for events, a task or the next sweep.
func (l *Loop) wait(events []event) (n int, err error) {
	l.sleeping.Store(true)
	defer l.sleeping.Store(false)
	if l.posted.Load() {
		return 0, nil
	}
	if l.busy {
		if n = l.poller.poll(events, busyWait); n > 0 {
			return n, nil
		}
	}
	return l.poller.wait(events, int(sweepEvery/time.Millisecond))
}

// runTasks runs what was posted, and reports whether anything was.
func (l *Loop) runTasks() bool {
	if !l.posted.Load() {
		return false
	}
	l.mu.Lock()
	work := l.tasks
	l.tasks = l.spare[:0]
	l.posted.Store(false)
	l.mu.Unlock()
	for i := range work {
		l.now = time.Now()
		l.do(work[i])
		work[i] = nil
	}
	l.spare = work
	return true
}

func (l *Loop) do(t Task) {
	defer l.recovered()
	t.Run()
}

func (l *Loop) handle(ev *event) {
	defer l.recovered()
	switch ev.Fd {
	case wakeEvent:
		l.poller.drainWake()
		return
	case listenerEvent:
		l.accept()
		return
	}
	l.now = time.Now()
	c := l.group.table[ev.Fd].Load()
	if c == nil || c.generation != ev.Pad || c.loop != l {
		return // of a descriptor that was closed meanwhile, or moved
	}
	c.handler.Ready(Events(ev.Events))
}

func (l *Loop) sweep() {
	defer l.recovered()
	l.acceptAgain()
	l.owner.Sweep(l.now)
}

// recovered is deferred around all that a loop does, so that its other
// connections end well after a panic that is not one connection's alone.
func (l *Loop) recovered() {
	if p := recover(); p != nil {
		l.group.log.Error("the event loop panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		l.group.TurnOff()
	}
}
