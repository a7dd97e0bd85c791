package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// wire is a link's connection. With a fast path, an event loop reads it and
// whoever sends writes at once: each goroutine on the way from one engine to
// the other would leave a slot free for as long as it takes to wake. Elsewhere
// two goroutines read and write.
type wire struct {
	conn net.Conn
	in   *bufio.Reader // with what came behind the handshake
	take func(message) error

	part   []byte // of a message that is not complete yet
	made   time.Time
	heard  atomic.Int64 // when something came, since made
	once   sync.Once
	broken chan struct{} // closed when the wire is
	cause  error

	mu   sync.Mutex
	out  []byte
	wake chan struct{} // of the goroutine that writes
	fd   int           // an event loop's; -1 is none
	left time.Duration // when something went, since made
}

var (
	errGarbled = errors.New("a message that cannot be read")
	errSilent  = fmt.Errorf("nothing came or went for %v", linkSilence)
	errTwice   = errors.New("there is another link to the engine")
	errHungUp  = errors.New("the other engine hung up")
)

func newWire(conn net.Conn, in *bufio.Reader) wire {
	return wire{conn: conn, in: in, made: time.Now(), broken: make(chan struct{}), wake: make(chan struct{}, 1), fd: -1}
}

// send queues a message; it never blocks.
func (w *wire) send(m message) {
	w.mu.Lock()
	if len(w.out) == 0 {
		w.left = time.Since(w.made)
	}
	w.out = m.append(w.out)
	direct := w.fd >= 0
	if direct {
		w.flush()
	}
	w.mu.Unlock()
	if direct {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// cut ends the wire.
func (w *wire) cut(cause error) {
	w.once.Do(func() {
		w.cause = cause
		_ = w.conn.Close()
		close(w.broken)
	})
}

// run serves the wire until it is cut, and says why. After it, no message is
// taken any more.
func (w *wire) run(f *front) error {
	stop := f.carry(w)
	if stop == nil {
		done := make(chan struct{})
		go w.write()
		go func() { w.read(); close(done) }()
		stop = func() { <-done }
	}
	defer stop()
	tick := time.NewTicker(linkSilence / 10)
	defer tick.Stop()
	for {
		select {
		case <-w.broken:
			return w.cause
		case <-tick.C:
			if w.silent() {
				w.cut(errSilent)
			}
		}
	}
}

// silent says whether the other engine says nothing, or takes nothing.
func (w *wire) silent() bool {
	now := time.Since(w.made)
	w.mu.Lock()
	defer w.mu.Unlock()
	return now-time.Duration(w.heard.Load()) > linkSilence || len(w.out) > 0 && now-w.left > linkSilence
}

// write sends what is queued until the wire is cut.
func (w *wire) write() {
	var spare []byte
	for {
		select {
		case <-w.broken:
			return
		case <-w.wake:
		}
		w.mu.Lock()
		b := w.out
		w.out = spare[:0]
		w.mu.Unlock()
		_ = w.conn.SetWriteDeadline(time.Now().Add(linkSilence))
		if _, err := w.conn.Write(b); err != nil {
			w.cut(err)
			return
		}
		spare = b
	}
}

// read takes messages until the wire is cut.
func (w *wire) read() {
	buf := make([]byte, 16<<10)
	for {
		n, err := w.in.Read(buf)
		if err == nil {
			err = w.feed(buf[:n])
		}
		if err != nil {
			w.cut(err)
			return
		}
	}
}

// feed takes the messages that data completes. A panic ends this wire alone.
func (w *wire) feed(data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	w.heard.Store(int64(time.Since(w.made)))
	if len(w.part) > 0 {
		w.part = append(w.part, data...)
		data = w.part
	}
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32(data))
		if n == 0 || n > maxMessage64 {
			return fmt.Errorf("a message of %d bytes", n)
		}
		if len(data)-4 < n {
			break
		}
		m, err := parseMessage(data[4 : 4+n])
		if err != nil {
			return err
		}
		if err := w.take(m); err != nil {
			return err
		}
		data = data[4+n:]
	}
	w.part = append(w.part[:0], data...)
	return nil
}

// append appends the message as it goes over a wire.
func (m *message) append(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(m.word))
	b = binary.AppendUvarint(b, m.number)
	b = binary.AppendUvarint(b, m.n)
	b = binary.AppendUvarint(b, uint64(len(m.algorithm)))
	b = append(b, m.algorithm...)
	b = append(b, m.text...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

func parseMessage(b []byte) (message, error) {
	m := message{word: word(b[0])}
	b = b[1:]
	for _, field := range []*uint64{&m.number, &m.n} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return message{}, errGarbled
		}
		*field, b = v, b[n:]
	}
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return message{}, errGarbled
	}
	b = b[n:]
	m.algorithm, m.text = string(b[:size]), string(b[size:])
	return m, nil
}
