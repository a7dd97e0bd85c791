package eventloop

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// echo is the owner of a loop that answers each line with itself. A line "panic"
// makes it panic, and "detach" hands the connection over.
type echo struct {
	l        *Loop
	handover *Handover
	closed   *atomic.Int32
	swept    chan bool
}

type echoConn struct {
	e    *echo
	conn Conn
}

func (e *echo) Accept(s Socket) {
	c := &echoConn{e: e}
	if e.l.Watch(&c.conn, s, c) != nil {
		c.conn.Close()
	}
}

func (e *echo) Sweep(time.Time) {
	select {
	case e.swept <- true:
	default:
	}
}

func (e *echo) MakeRoom() {}

func (e *echo) Close() { e.closed.Add(1) }

func (c *echoConn) Ready(Events) {
	buf := make([]byte, 1<<10)
	for c.conn.IsOpen() {
		n, err := c.conn.Read(buf)
		if err != nil {
			if !IsAgain(err) {
				c.conn.Close()
			}
			return
		}
		line := buf[:n]
		switch string(bytes.TrimSpace(line)) {
		case "panic":
			panic("a test")
		case "detach":
			if conn, err := c.conn.Detach(); err == nil {
				c.e.handover.Give(NewPrefixConn(conn, bytes.Clone(line)))
			}
		default:
			_, _ = c.conn.Write(line)
		}
	}
}

// echoing starts a group of two loops.
func echoing(t *testing.T) (g *Group, owner *echo, dial func() (net.Conn, *bufio.Reader), off *atomic.Int32) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	off = new(atomic.Int32)
	owner = &echo{handover: NewHandover(ln.Addr()), closed: new(atomic.Int32), swept: make(chan bool, 1)}
	g, err = New(Options{
		Loops: 2, Listener: ln.(*net.TCPListener), Log: slog.New(slog.DiscardHandler),
		Attach: func(l *Loop) Owner {
			return &echo{l: l, handover: owner.handover, closed: owner.closed, swept: owner.swept}
		},
		OnOff: func() { off.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, owner, func() (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		return conn, bufio.NewReader(conn)
	}, off
}

func wantEcho(t *testing.T, conn io.Writer, br *bufio.Reader, line string) {
	t.Helper()
	_, _ = io.WriteString(conn, line)
	if got, err := br.ReadString('\n'); err != nil || got != line {
		t.Errorf("%q is answered with %q, %v", line, got, err)
	}
}

// TestLoopsServeConnections: on every loop, with sweeps beside, until the group
// closes.
func TestLoopsServeConnections(t *testing.T) {
	g, owner, dial, _ := echoing(t)
	for range 4 { // by turns
		conn, br := dial()
		wantEcho(t, conn, br, "one\n")
		wantEcho(t, conn, br, "two\n")
	}
	waittest.Receive(t, "a sweep", owner.swept)
	ran := make(chan bool)
	for _, l := range g.Loops() {
		l.PostFunc(func() { l.Later(taskFunc(func() { ran <- true })) })
		waittest.Receive(t, "what was posted", ran)
	}
	g.Close()
	if n := owner.closed.Load(); n != 2 {
		t.Errorf("%d owners are closed, want 2", n)
	}
	for _, l := range g.Loops() {
		waittest.Receive(t, "the end of the loop", l.Done())
	}
}

// TestHandover: a connection that a loop detaches goes on elsewhere, with what
// was read of it.
func TestHandover(t *testing.T) {
	_, owner, dial, _ := echoing(t)
	conn, br := dial()
	wantEcho(t, conn, br, "one\n")
	_, _ = io.WriteString(conn, "detach\n")
	other, err := owner.handover.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	line, err := bufio.NewReader(other).ReadString('\n')
	if err != nil || line != "detach\n" {
		t.Errorf("the new owner reads %q, %v; want what the loop read", line, err)
	}
	_, _ = io.WriteString(other, "three\n")
	if got, err := br.ReadString('\n'); err != nil || got != "three\n" {
		t.Errorf("the new owner's answer is %q, %v", got, err)
	}
	_ = owner.handover.Close()
	if _, err := owner.handover.Accept(); err == nil {
		t.Error("a closed handover accepts")
	}
}

// TestPanicTurnsTheGroupOff: a panic is reported once, connections are served on,
// and new ones are not accepted any more.
func TestPanicTurnsTheGroupOff(t *testing.T) {
	g, _, dial, off := echoing(t)
	conn, br := dial()
	wantEcho(t, conn, br, "one\n")
	for range 2 {
		bad, _ := dial()
		_, _ = io.WriteString(bad, "panic\n")
	}
	waittest.Receive(t, "the loops are turned off", g.Off())
	if n := off.Load(); n != 1 || !g.IsOff() {
		t.Errorf("OnOff is called %d times and off is %v, want once and off", n, g.IsOff())
	}
	wantEcho(t, conn, br, strings.Repeat("x", 100)+"\n")
}

// TestSocketOf: the socket of a connection outlives it.
func TestSocketOf(t *testing.T) {
	_, _, dial, _ := echoing(t)
	conn, br := dial()
	wantEcho(t, conn, br, "one\n")
	if !Alive(conn) {
		t.Error("an idle connection is not alive")
	}
	s, err := SocketOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.NetConn()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	_ = again.SetDeadline(time.Now().Add(time.Minute))
	wantEcho(t, again, bufio.NewReader(again), "two\n")
	a, b := net.Pipe()
	defer func() { _ = b.Close() }()
	if _, err := SocketOf(a); err == nil {
		t.Error("a pipe has a socket")
	}
}
