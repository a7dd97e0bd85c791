package engine

import (
	"errors"
	"io"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
)

// carry hands another engine's connection to an event loop, and returns nil when
// there is none. The function waits until that has let go of a connection that was cut.
func (s *server) carry(c *peer.Conn) (stop func()) {
	if s == nil {
		return nil
	}
	l := s.loops[0]
	l.PostFunc(func() { l.addPeer(c) })
	return func() {
		over := make(chan struct{})
		l.PostFunc(func() { l.endPeer(c, c.Cause()); close(over) })
		select {
		case <-over:
		case <-l.Done():
		}
	}
}

// peerSocket is a loop's socket of another engine's connection.
type peerSocket struct {
	l    *loop
	c    *peer.Conn
	conn eventloop.Conn
}

// Ready is called when the connection can be read or written.
func (p *peerSocket) Ready(ev eventloop.Events) { p.l.peerEvent(p, ev) }

func (l *loop) addPeer(c *peer.Conn) {
	s, err := eventloop.SocketOf(c.NetConn())
	if err != nil {
		c.Cut(err)
		return
	}
	p := &peerSocket{l: l, c: c}
	if err = l.Watch(&p.conn, s, p); eventloop.IsTableFull(err) || l.Stopping() {
		if !p.conn.IsOpen() {
			s.Close()
		}
		p.conn.Close()
		c.Cut(errors.New("there is no room for a link"))
		return
	}
	l.peers[c] = p
	if err != nil {
		l.endPeer(c, err)
		return
	}
	c.Attach(s)
	if early := c.Buffered(); len(early) > 0 {
		if err := c.Feed(early); err != nil {
			l.endPeer(c, err)
		}
	}
}

// endPeer closes the connection's socket, which nobody else does.
func (l *loop) endPeer(c *peer.Conn, cause error) {
	c.Cut(cause)
	c.Detach()
	if p := l.peers[c]; p != nil {
		delete(l.peers, c)
		p.conn.Close()
	}
}

func (l *loop) peerEvent(p *peerSocket, ev eventloop.Events) {
	if ev.Writable() {
		p.c.Flush()
	}
	for l.peers[p.c] != nil {
		n, err := p.conn.Read(l.in)
		switch {
		case eventloop.IsAgain(err):
			return
		case err == io.EOF: //nolint:errorlint // never wrapped
			err = peer.ErrHungUp
		case err == nil:
			err = p.c.Feed(l.in[:n])
		}
		if err != nil {
			l.endPeer(p.c, err)
			return
		}
		if n < len(l.in) && !ev.Ended() {
			return // what comes later has an event of its own
		}
	}
}
