package eventloop

import (
	"net"
)

// Handler is what serves a connection. It is called on the connection's loop.
type Handler interface {
	// Ready is called when the connection can be read or written again. Events
	// are edges: what is not read now has no event of its own later.
	Ready(ev Events)
}

// Conn is a socket that a loop watches. The zero value is closed.
type Conn struct {
	socket     Socket
	open       bool
	generation int32 // tells it from an earlier one with the same descriptor
	loop       *Loop
	handler    Handler
}

// Watch makes c the connection of the socket, and h its handler. The socket is
// c's also when Watch fails, but for an error of IsTableFull.
func (l *Loop) Watch(c *Conn, s Socket, h Handler) error {
	if int(s) >= len(l.group.table) {
		return errTableFull
	}
	*c = Conn{socket: s, open: true, generation: l.group.gen.Add(1), loop: l, handler: h}
	l.group.table[s].Store(c)
	return l.poller.add(s, c.generation)
}

// Take makes c the connection of a socket that another loop watches as from,
// and h its handler. What the other loop has of it stays as it is: that loop
// may be looking at it in this moment.
func (l *Loop) Take(c, from *Conn, h Handler) error {
	l.group.table[from.socket].CompareAndSwap(from, nil)
	from.loop.poller.remove(from.socket)
	return l.Watch(c, from.socket, h)
}

// Loop returns the loop that watches the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// IsOpen reports whether the connection was neither closed nor detached.
func (c *Conn) IsOpen() bool { return c.open }

// Socket returns the connection's socket.
func (c *Conn) Socket() Socket { return c.socket }

// Close closes the connection, and with that ends watching it. It may be called
// from any goroutine that has the connection.
func (c *Conn) Close() {
	if c.open {
		c.loop.group.table[c.socket].CompareAndSwap(c, nil)
		c.socket.Close()
		c.open = false
	}
}

// Detach ends watching the connection and returns it as a net.Conn.
func (c *Conn) Detach() (net.Conn, error) {
	c.loop.group.table[c.socket].CompareAndSwap(c, nil)
	c.loop.poller.remove(c.socket)
	c.open = false
	return c.socket.NetConn()
}

// Read reads what is there. The error is ErrAgain when that is nothing, and
// io.EOF when there will be no more.
func (c *Conn) Read(p []byte) (int, error) { return c.socket.receive(p) }

// Write writes what goes. The error is ErrAgain when that is nothing.
func (c *Conn) Write(p []byte) (int, error) { return c.socket.send(p) }

// Writev writes what goes of several slices, as Write does.
func (c *Conn) Writev(parts [][]byte) (int, error) { return c.socket.sendAll(parts) }

// IsQuiet reports whether an idle connection can be used: the other side has
// neither closed it nor sent anything.
func (c *Conn) IsQuiet() bool { return c.socket.isQuiet() }

// RemoteHost returns the other side's address without its port, "" when the
// kernel does not know it.
func (c *Conn) RemoteHost() string { return c.socket.remoteHost() }
