package peerloop

import (
	"errors"
	"io"
	"net"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
)

// Carrier serves links on one event loop. What it has is touched by the loop's
// own goroutine alone.
type Carrier struct {
	loop    *eventloop.Loop
	in      []byte // what is read of a link
	sockets map[*peer.Conn]*socket
}

// New returns a carrier on a loop that reads into in, which others on the loop may
// use too.
func New(loop *eventloop.Loop, in []byte) *Carrier {
	return &Carrier{loop: loop, in: in, sockets: map[*peer.Conn]*socket{}}
}

// Carry hands a connection to the loop, from any goroutine. The function waits
// until that has let go of a connection that was cut.
func (c *Carrier) Carry(conn *peer.Conn) (stop func()) {
	c.loop.PostFunc(func() { c.add(conn) })
	return func() {
		over := make(chan struct{})
		c.loop.PostFunc(func() { c.end(conn, conn.Cause()); close(over) })
		select {
		case <-over:
		case <-c.loop.Done():
		}
	}
}

// Close ends every link, on the loop's goroutine.
func (c *Carrier) Close() {
	for conn := range c.sockets {
		c.end(conn, net.ErrClosed)
	}
}

// socket is the loop's socket of a link.
type socket struct {
	carrier *Carrier
	link    *peer.Conn
	conn    eventloop.Conn
}

// Ready is called when the link can be read or written.
func (s *socket) Ready(ev eventloop.Events) { s.carrier.event(s, ev) }

func (c *Carrier) add(link *peer.Conn) {
	on, err := eventloop.SocketOf(link.NetConn())
	if err != nil {
		link.Cut(err)
		return
	}
	s := &socket{carrier: c, link: link}
	if err = c.loop.Watch(&s.conn, on, s); eventloop.IsTableFull(err) || c.loop.Stopping() {
		if !s.conn.IsOpen() {
			on.Close()
		}
		s.conn.Close()
		link.Cut(errors.New("there is no room for a link"))
		return
	}
	c.sockets[link] = s
	if err != nil {
		c.end(link, err)
		return
	}
	link.Attach(on)
	if early := link.Buffered(); len(early) > 0 {
		if err := link.Feed(early); err != nil {
			c.end(link, err)
		}
	}
}

// end closes the link's socket, which nobody else does.
func (c *Carrier) end(link *peer.Conn, cause error) {
	link.Cut(cause)
	link.Detach()
	if s := c.sockets[link]; s != nil {
		delete(c.sockets, link)
		s.conn.Close()
	}
}

func (c *Carrier) event(s *socket, ev eventloop.Events) {
	if ev.Writable() {
		s.link.Flush()
	}
	for c.sockets[s.link] != nil {
		n, err := s.conn.Read(c.in)
		switch {
		case eventloop.IsAgain(err):
			return
		case err == io.EOF: //nolint:errorlint // never wrapped
			err = peer.ErrHungUp
		case err == nil:
			err = s.link.Feed(c.in[:n])
		}
		if err != nil {
			c.end(s.link, err)
			return
		}
		if n < len(c.in) && !ev.Ended() {
			return // what comes later has an event of its own
		}
	}
}
