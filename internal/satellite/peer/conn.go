package peer

import (
	"bufio"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// silenceTimeout is how long a link lives on which nothing comes, or nothing
// that is to go goes.
const silenceTimeout = 5 * time.Second

// ErrHungUp is why a connection ends that the other engine closed.
var ErrHungUp = errors.New("the other engine hung up")

var (
	errForged = errors.New("a message that the other engine did not send")
	errSilent = fmt.Errorf("nothing came or went for %v", silenceTimeout)
)

// Socket is an event loop's end of a connection.
type Socket interface {
	// TryWrite writes what it can without blocking, and returns 0 when that is
	// nothing. That a write fails shows in reading.
	TryWrite(p []byte) int
}

// Conn is a link's connection. With an event loop, that loop reads it and
// whoever sends writes at once: each goroutine on the way from one engine to the
// other would leave a slot free for as long as it takes to wake. Elsewhere two
// goroutines read and write.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader // with what came behind the handshake
	on   func(message) error

	ours, theirs     cipher.AEAD // of what goes, and of what comes
	sealed, unsealed uint64      // how many messages went, with mu held, and came

	part   []byte // of a message that is not complete yet
	made   time.Time
	heard  atomic.Int64 // when something came, since made
	once   sync.Once
	broken chan struct{} // closed when the connection is cut
	cause  error

	mu     sync.Mutex
	out    []byte
	wake   chan struct{} // of the goroutine that writes
	socket Socket        // nil is none
	left   time.Duration // when something went, since made
}

func newConn(conn net.Conn, in *bufio.Reader, ours, theirs cipher.AEAD) *Conn {
	return &Conn{conn: conn, in: in, ours: ours, theirs: theirs, made: time.Now(), broken: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// NetConn returns the connection that an event loop may take the descriptor of.
func (c *Conn) NetConn() net.Conn { return c.conn }

// send queues a message. It never blocks.
func (c *Conn) send(m message) {
	c.mu.Lock()
	if len(c.out) == 0 {
		c.left = time.Since(c.made)
	}
	c.out = c.seal(c.out, &m)
	direct := c.socket != nil
	if direct {
		c.flush()
	}
	c.mu.Unlock()
	if direct {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Cut ends the connection; of several causes the first one counts.
func (c *Conn) Cut(cause error) {
	c.once.Do(func() {
		c.cause = cause
		_ = c.conn.Close()
		close(c.broken)
	})
}

// Cause returns why the connection was cut. It may be called once it was.
func (c *Conn) Cause() error { return c.cause }

// Attach makes s the socket that messages are written to, and writes those that
// wait.
func (c *Conn) Attach(s Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket = s
	c.flush()
}

// Detach ends writing to the socket. It is not used any more when Detach returns.
func (c *Conn) Detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket = nil
}

// Flush writes the messages that wait. It is called when the socket takes more.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
}

func (c *Conn) flush() {
	for len(c.out) > 0 && c.socket != nil {
		n := c.socket.TryWrite(c.out)
		if n <= 0 {
			return
		}
		c.left = time.Since(c.made)
		c.out = append(c.out[:0], c.out[n:]...)
	}
}

// Buffered returns what came before the connection was given to an event loop,
// which feeds it first.
func (c *Conn) Buffered() []byte {
	early, _ := c.in.Peek(c.in.Buffered())
	return early
}

// run serves the connection until it is cut, and returns why. After it, no
// message is taken any more.
func (c *Conn) run(loop EventLoop) error {
	stop := loop.Carry(c)
	if stop == nil {
		done := make(chan struct{})
		go c.write()
		go func() { c.read(); close(done) }()
		stop = func() { <-done }
	}
	defer stop()
	tick := time.NewTicker(silenceTimeout / 10)
	defer tick.Stop()
	for {
		select {
		case <-c.broken:
			return c.cause
		case <-tick.C:
			if c.silent() {
				c.Cut(errSilent)
			}
		}
	}
}

// silent reports whether the other engine says nothing, or takes nothing.
func (c *Conn) silent() bool {
	now := time.Since(c.made)
	c.mu.Lock()
	defer c.mu.Unlock()
	return now-time.Duration(c.heard.Load()) > silenceTimeout || len(c.out) > 0 && now-c.left > silenceTimeout
}

// write sends what is queued until the connection is cut.
func (c *Conn) write() {
	var spare []byte
	for {
		select {
		case <-c.broken:
			return
		case <-c.wake:
		}
		c.mu.Lock()
		b := c.out
		c.out = spare[:0]
		c.mu.Unlock()
		_ = c.conn.SetWriteDeadline(time.Now().Add(silenceTimeout))
		if _, err := c.conn.Write(b); err != nil {
			c.Cut(err)
			return
		}
		spare = b
	}
}

// read takes messages until the connection is cut.
func (c *Conn) read() {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.in.Read(buf)
		if err == nil {
			err = c.Feed(buf[:n])
		}
		if err != nil {
			c.Cut(err)
			return
		}
	}
}

// Feed takes the messages that data completes. After an error the connection is
// to be cut. A panic on the way is such an error.
func (c *Conn) Feed(data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c.heard.Store(int64(time.Since(c.made)))
	if len(c.part) > 0 {
		c.part = append(c.part, data...)
		data = c.part
	}
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32(data))
		if n == 0 || n > maxMessage {
			return fmt.Errorf("a message of %d bytes", n)
		}
		if len(data)-4 < n {
			break
		}
		m, err := c.unseal(data[4 : 4+n])
		if err != nil {
			return err
		}
		if err := c.on(m); err != nil {
			return err
		}
		data = data[4+n:]
	}
	c.part = append(c.part[:0], data...)
	return nil
}

// seal appends the message as it goes over the wire: its length, then itself,
// encrypted. Each message has a number, so that none can be left out, sent twice
// or in another order.
func (c *Conn) seal(b []byte, m *message) []byte {
	start := len(b)
	b = m.append(append(b, 0, 0, 0, 0))
	text := b[start+4:]
	b = c.ours.Seal(b[:start+4], nextNonce(&c.sealed), text, nil)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// unseal reads a message, and overwrites it.
func (c *Conn) unseal(b []byte) (message, error) {
	text, err := c.theirs.Open(b[:0], nextNonce(&c.unsealed), b, nil)
	if err != nil {
		return message{}, errForged
	}
	return parseMessage(text)
}

// nextNonce returns the nonce of the next message in a direction.
func nextNonce(last *uint64) []byte {
	*last++
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[4:], *last)
	return nonce[:]
}
