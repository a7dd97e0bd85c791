package engine

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// accessLog writes a JSON line a call. Of calls that went well it writes one
// in every; of all others, each one. Lines are gathered, so that a call pays
// no system call for its own; they wait half a second at most.
type accessLog struct {
	every int

	mu   sync.Mutex
	buf  []byte
	to   io.Writer
	well int
}

func newAccessLog(to io.Writer, every int) *accessLog {
	if to == nil {
		return nil
	}
	return &accessLog{to: to, every: max(1, every)}
}

// write notes a call; f is how it failed, or nil.
func (l *accessLog) write(c *call, f *failure) {
	if l == nil {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.outcome == outcomeOK {
		if l.well++; l.well < l.every {
			return
		}
		l.well = 0
	}
	l.buf = c.appendLine(l.buf, f, now)
	if l.every > 1 && c.outcome == outcomeOK {
		l.buf = append(l.buf, `,"one_in":`...)
		l.buf = strconv.AppendInt(l.buf, int64(l.every), 10)
	}
	l.buf = append(l.buf, '}', '\n')
	if len(l.buf) >= 32<<10 {
		l.flushLocked()
	}
}

// appendLine appends the call's line without its closing brace.
func (c *call) appendLine(dst []byte, f *failure, now time.Time) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, `","level":"INFO","msg":"call"`...)
	text := func(name, value string) {
		if value != "" {
			dst = append(append(append(dst, `,"`...), name...), `":`...)
			dst = appendQuoted(dst, value)
		}
	}
	seconds := func(name string, d time.Duration) {
		dst = append(append(append(dst, `,"`...), name...), `":`...)
		dst = strconv.AppendFloat(dst, d.Seconds(), 'f', 6, 64)
	}
	text("request_id", c.id)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(c.status), 10)
	text("outcome", c.outcome.String())
	seconds("seconds", now.Sub(c.start))
	seconds("wait_seconds", c.wait)
	seconds("run_seconds", c.run)
	if c.route != nil {
		text("algorithm", c.route.VanityURL)
		text("version", c.route.Algorithm)
	}
	text("replica", c.replica)
	text("key_id", c.keyID)
	text("trace_id", c.trace.id())
	if f != nil && f.cause != nil {
		text("cause", f.cause.Error())
	} else if f != nil {
		text("error_type", f.errorType)
	}
	return dst
}

// line writes a whole line of another kind.
func (l *accessLog) line(line []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(append(l.buf, line...), '\n')
}

func (l *accessLog) flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushLocked()
}

func (l *accessLog) flushLocked() {
	if len(l.buf) > 0 {
		_, _ = l.to.Write(l.buf)
		l.buf = l.buf[:0]
	}
}
