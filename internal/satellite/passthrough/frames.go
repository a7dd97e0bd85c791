package passthrough

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// frames writes one way of a WebSocket, and knows where a frame ends (RFC 6455,
// 5.2), so that a close frame of the engine's own comes between two.
type frames struct {
	to     io.Writer
	masked bool // a client's frames are
	before func()

	mu     sync.Mutex
	head   [14]byte // of a frame whose head has not come whole
	have   int
	left   uint64 // of the payload of a frame
	away   bool   // the engine's close frame is to be sent
	closed bool   // a close frame was sent: nothing follows it
}

// errGoneAway ends a direction in which the engine has said goodbye.
var errGoneAway = errors.New("the engine stops")

const opClose = 8

// Write passes bytes on that begin and end anywhere.
func (f *frames) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for done := 0; done < len(p); {
		if f.away && f.between() {
			return done, f.bye()
		}
		n := f.step(p[done:])
		f.before()
		if _, err := f.to.Write(p[done : done+n]); err != nil {
			return done, err
		}
		done += n
	}
	if f.away && f.between() {
		return len(p), f.bye()
	}
	return len(p), nil
}

// step returns how many of the bytes are of one frame's head or payload, or of
// many frames when no close frame waits to be sent.
func (f *frames) step(p []byte) int {
	n := 0
	for n < len(p) {
		if f.left > 0 {
			of := min(f.left, uint64(len(p)-n))
			f.left -= of
			n += int(of) //nolint:gosec // no more than len(p)
		} else {
			f.head[f.have] = p[n]
			f.have++
			n++
			f.readHead()
		}
		if f.away && f.between() {
			break
		}
	}
	return n
}

// readHead takes a frame's head when it is whole.
func (f *frames) readHead() {
	if f.have < 2 {
		return
	}
	size, length := 2, uint64(f.head[1]&0x7f)
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	if f.have < size {
		return
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	f.closed = f.closed || f.head[0]&0x0f == opClose
	f.have, f.left = 0, length
}

// between reports whether a frame has ended and none has begun.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 }

// goAway sends a close frame, now or when the frame that is being passed on has
// ended.
func (f *frames) goAway() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = true
	if f.between() {
		_ = f.bye()
	}
}

// bye sends the close frame, code 1001, unless one was sent.
func (f *frames) bye() error {
	if f.closed {
		return errGoneAway
	}
	f.closed = true
	frame := []byte{0x80 | opClose, 2, 1001 >> 8, 1001 & 0xff}
	if f.masked {
		frame = []byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0, 1001 >> 8, 1001 & 0xff}
	}
	f.before()
	if _, err := f.to.Write(frame); err != nil {
		return err
	}
	return errGoneAway
}

// whole reports whether nothing is missing though the other end stopped with err:
// a close frame went before, or the connection ended between two frames.
func (f *frames) whole(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed || errors.Is(err, io.EOF) && f.between()
}
