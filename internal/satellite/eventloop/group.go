package eventloop

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
)

// Group is the loops that share a listener.
type Group struct {
	log   *slog.Logger
	loops []*Loop
	next  int
	table []atomic.Pointer[Conn] // by descriptor
	gen   atomic.Int32

	off     chan struct{} // closed once the loops are turned off
	turnOff sync.Once
	onOff   func()
}

// Options are what a group is made with; all are required.
type Options struct {
	Loops    int
	Listener *net.TCPListener // it stays open when the group closes
	Log      *slog.Logger
	// Attach returns the owner of a loop that is about to run.
	Attach func(*Loop) Owner
	// OnOff is called once, when a panic turns the loops off.
	OnOff func()
}

// errTableFull is why a socket cannot be watched: its descriptor's number is
// beyond what the group was made for.
var errTableFull = errors.New("there are too many open files for the event loops")

// IsTableFull reports whether a socket could not be watched because of its
// number.
func IsTableFull(err error) bool { return errors.Is(err, errTableFull) }

// New starts a group of loops, the first of which accepts what comes to the
// listener.
func New(o Options) (*Group, error) {
	g := &Group{log: o.Log, table: make([]atomic.Pointer[Conn], maxSockets()), off: make(chan struct{}), onOff: o.OnOff}
	for range o.Loops {
		l, err := newLoop(g)
		if err != nil {
			g.Close()
			return nil, err
		}
		l.owner = o.Attach(l)
		g.loops = append(g.loops, l)
		go l.run()
	}
	if err := g.listen(o.Listener); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// listen makes the first loop accept what comes to the listener, through a
// descriptor of its own: Go's does not wait for us.
func (g *Group) listen(listener *net.TCPListener) error {
	s, err := duplicate(listener)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listener.Addr(), err)
	}
	l := g.loops[0]
	l.PostFunc(func() {
		l.listener = s
		l.startAccepting()
	})
	return nil
}

// accepted is a connection on its way to its loop.
type accepted struct {
	loop   *Loop
	socket Socket
}

// Run hands the connection to the loop's owner.
func (a *accepted) Run() { a.loop.owner.Accept(a.socket) }

// assign hands a connection to the next loop.
func (g *Group) assign(s Socket) {
	s.tune()
	g.next = (g.next + 1) % len(g.loops)
	l := g.loops[g.next]
	l.Post(&accepted{l, s})
}

// Loops returns the loops.
func (g *Group) Loops() []*Loop { return g.loops }

// Close ends the loops and waits until they have ended.
func (g *Group) Close() {
	for _, l := range g.loops {
		l.PostFunc(func() { l.stopping = true })
		<-l.done
	}
}

// Refuse ends listening.
func (g *Group) Refuse() {
	for _, l := range g.loops {
		l.PostFunc(l.refuse)
	}
}

// Off returns a channel that is closed when the loops are turned off.
func (g *Group) Off() <-chan struct{} { return g.off }

// IsOff reports whether the loops are turned off.
func (g *Group) IsOff() bool {
	select {
	case <-g.off:
		return true
	default:
		return false
	}
}

// TurnOff turns the loops off, as after a panic: what one of them knows may be
// wrong now. New connections are left to others who listen.
func (g *Group) TurnOff() {
	g.turnOff.Do(func() {
		g.onOff()
		close(g.off)
		for _, l := range g.loops {
			l.PostFunc(l.stopAccepting)
		}
	})
}

// Group returns the loop's group.
func (l *Loop) Group() *Group { return l.group }
