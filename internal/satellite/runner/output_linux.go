package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// keepOutput is how much of each of stdout and stderr a call keeps: its
	// start and its end, half each.
	keepOutput = 64 << 10
	// keepTail is how much of the last output is told when the process fails.
	keepTail = 4 << 10
	// keepLine bounds the line in which a process says that it is loaded.
	keepLine = 64 << 10
)

// loadedMark is in the line on stdout by which a process says that it is
// loaded.
var loadedMark = []byte("PIPE_INIT_COMPLETE")

// output collects one of the process's output streams: what a call printed,
// bounded, and the same on to the container's log.
type output struct {
	file *os.File
	raw  syscall.RawConn
	to   io.Writer
	tail *tail

	mu     sync.Mutex // guards what follows, and reading
	head   []byte
	end    ring
	line   []byte // of stdout, until the process is loaded
	loaded func()
}

// newOutput returns a stream and the end that the process writes to. The
// process's end blocks, as programs expect of their stdout.
func newOutput(to io.Writer, last *tail, loaded func()) (*output, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	write := os.NewFile(uintptr(fds[1]), "output")
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), unix.Close(fds[0]), write.Close())
	}
	file := os.NewFile(uintptr(fds[0]), "output")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), file.Close(), write.Close())
	}
	return &output{file: file, raw: raw, to: to, tail: last, end: ring{size: keepOutput / 2}, loaded: loaded}, write, nil
}

// read collects until every process that has the stream closed it, or close.
func (o *output) read() {
	buf := make([]byte, 32<<10)
	for ended := false; !ended; {
		err := o.raw.Read(func(fd uintptr) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			n, err := unix.Read(int(fd), buf)
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			if n > 0 {
				o.take(buf[:n])
			}
			ended = n <= 0 && !errors.Is(err, unix.EINTR)
			return true
		})
		if err != nil {
			return
		}
	}
}

// take keeps what was read; o.mu is held.
func (o *output) take(b []byte) {
	if o.loaded != nil {
		b = o.takeLoading(b)
	}
	o.tail.write(b)
	rest := keepOutput/2 - len(o.head)
	first := b[:min(len(b), rest)]
	o.head = append(o.head, first...)
	_, _ = o.to.Write(first)
	o.end.write(b[len(first):])
}

// takeLoading looks for loadedMark and gives what is left of b: the line with
// the mark is for us, those before it are the process's own.
func (o *output) takeLoading(b []byte) []byte {
	o.line = append(o.line, b...)
	for {
		i := bytes.IndexByte(o.line, '\n')
		if i < 0 {
			break
		}
		line := o.line[:i+1]
		if bytes.Contains(line, loadedMark) {
			rest := o.line[i+1:]
			o.line = nil
			o.loaded()
			o.loaded = nil
			return rest
		}
		o.pass(line)
		o.line = o.line[i+1:]
	}
	if len(o.line) > keepLine { // no such line: only the mark matters
		o.pass(o.line[:len(o.line)-len(loadedMark)])
		o.line = append([]byte(nil), o.line[len(o.line)-len(loadedMark):]...)
	}
	return nil
}

// pass sends what belongs to no call on.
func (o *output) pass(b []byte) {
	o.tail.write(b)
	_, _ = o.to.Write(b)
}

// begin forgets what was printed before a call.
func (o *output) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.head = o.head[:0]
	o.end.reset()
}

// collect returns what was printed since begin, up to the last byte that the
// process wrote before now, and sends the end of what was held back on.
func (o *output) collect() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drain()
	held := o.end.bytes()
	if left := o.end.total - len(held); left > 0 {
		held = append(fmt.Appendf(nil, "\n… %d bytes are left out …\n", left), held...)
	}
	_, _ = o.to.Write(held)
	all := string(o.head) + string(held)
	o.head = o.head[:0]
	o.end.reset()
	return all
}

// finish reads what a process that is gone left, so that its last words are
// known.
func (o *output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drain()
	o.pass(o.line)
	o.line = nil
}

// drain reads what is there; o.mu is held. A stream that never rests must not
// hold the call up: what a pipe can hold was written before now, more than
// that was not.
func (o *output) drain() {
	buf := make([]byte, 32<<10)
	for taken := 0; taken < 1<<20; {
		var n int
		err := o.raw.Control(func(fd uintptr) { n, _ = unix.Read(int(fd), buf) })
		if err != nil || n <= 0 {
			return
		}
		taken += n
		o.take(buf[:n])
	}
}

func (o *output) close() { _ = o.file.Close() }

// ring keeps the last size bytes.
type ring struct {
	size  int
	buf   []byte
	next  int // where the next byte goes once buf is full
	total int // bytes ever written
}

func (r *ring) reset() { r.buf, r.next, r.total = r.buf[:0], 0, 0 }

func (r *ring) write(b []byte) {
	r.total += len(b)
	if len(b) > r.size {
		b = b[len(b)-r.size:]
	}
	if room := r.size - len(r.buf); room > 0 {
		n := min(room, len(b))
		r.buf = append(r.buf, b[:n]...)
		b = b[n:]
	}
	for len(b) > 0 {
		n := copy(r.buf[r.next:], b)
		r.next = (r.next + n) % r.size
		b = b[n:]
	}
}

// bytes returns what is kept, in order.
func (r *ring) bytes() []byte {
	return append(append([]byte(nil), r.buf[r.next:]...), r.buf[:r.next]...)
}

// tail is the last of both streams, in the order of arrival.
type tail struct {
	mu   sync.Mutex
	ring ring
}

func (t *tail) write(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring.write(b)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(bytes.ToValidUTF8(t.ring.bytes(), []byte("\uFFFD"))))
}
