package eventloop

import (
	"net"
	"sync"
)

// Handover is the listener from which a server gets the connections that the
// loops do not keep.
type Handover struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// NewHandover returns the Handover of a listener at addr.
func NewHandover(addr net.Addr) *Handover {
	return &Handover{addr: addr, conns: make(chan net.Conn, 256), done: make(chan struct{})}
}

// Give hands c over. It never blocks.
func (h *Handover) Give(c net.Conn) {
	select {
	case h.conns <- c:
	default:
		go func() {
			select {
			case h.conns <- c:
			case <-h.done:
				_ = c.Close()
			}
		}()
	}
}

// Accept waits for the next connection. Those given before Close are all
// served.
func (h *Handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
	}
	select {
	case c := <-h.conns:
		return c, nil
	default:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *Handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr returns the real listener's address.
func (h *Handover) Addr() net.Addr { return h.addr }

// PrefixConn is a connection of which some bytes were read already.
type PrefixConn struct {
	net.Conn
	data []byte
}

// NewPrefixConn returns c with data before what is read of it.
func NewPrefixConn(c net.Conn, data []byte) *PrefixConn { return &PrefixConn{Conn: c, data: data} }

// Read reads the bytes that were read already, then the connection.
func (c *PrefixConn) Read(p []byte) (int, error) {
	if len(c.data) > 0 {
		n := copy(p, c.data)
		if c.data = c.data[n:]; len(c.data) == 0 {
			c.data = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}
