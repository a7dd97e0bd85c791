package engine

import (
	"net"
	"sync"
)

// handover is the listener from which net/http gets what the fast path does
// not take.
type handover struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn, 256), done: make(chan struct{})}
}

// give never blocks.
func (h *handover) give(c net.Conn) {
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
func (h *handover) Accept() (net.Conn, error) {
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
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is the real listener's.
func (h *handover) Addr() net.Addr { return h.addr }

// readConn is a connection of which data was read already.
type readConn struct {
	net.Conn
	data []byte
}

// Read gives data first.
func (c *readConn) Read(p []byte) (int, error) {
	if len(c.data) > 0 {
		n := copy(p, c.data)
		if c.data = c.data[n:]; len(c.data) == 0 {
			c.data = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}
