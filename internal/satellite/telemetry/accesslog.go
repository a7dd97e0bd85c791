package telemetry

import (
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// AccessLog writes a JSON line a call. Of calls that went well it writes one in
// every; of all others, each one. Lines are gathered, so that a call pays no
// system call for its own; they wait half a second at most.
type AccessLog struct {
	every int

	mu   sync.Mutex
	buf  []byte
	to   io.Writer
	well int
}

// flushAt is how many bytes of lines are gathered at most.
const flushAt = 32 << 10

// NewAccessLog returns a log that writes to w; nil when w is nil.
func NewAccessLog(w io.Writer, every int) *AccessLog {
	if w == nil {
		return nil
	}
	return &AccessLog{to: w, every: max(1, every)}
}

// Write writes a call's line.
func (l *AccessLog) Write(c *Call) {
	if l == nil {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Outcome == protocol.OutcomeOK {
		if l.well++; l.well < l.every {
			return
		}
		l.well = 0
	}
	l.buf = c.appendLine(l.buf, now)
	if l.every > 1 && c.Outcome == protocol.OutcomeOK {
		l.buf = append(l.buf, `,"one_in":`...)
		l.buf = strconv.AppendInt(l.buf, int64(l.every), 10)
	}
	l.buf = append(l.buf, '}', '\n')
	if len(l.buf) >= flushAt {
		l.flush()
	}
}

// appendLine appends the call's line without its closing brace.
func (c *Call) appendLine(dst []byte, now time.Time) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, `","level":"INFO","msg":"call"`...)
	text := func(name, value string) {
		if value != "" {
			dst = append(append(append(dst, `,"`...), name...), `":`...)
			dst = jsonscan.AppendQuoted(dst, value)
		}
	}
	seconds := func(name string, d time.Duration) {
		dst = append(append(append(dst, `,"`...), name...), `":`...)
		dst = strconv.AppendFloat(dst, d.Seconds(), 'f', 6, 64)
	}
	text("request_id", c.ID)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(c.Status), 10)
	text("outcome", c.Outcome.String())
	seconds("seconds", now.Sub(c.Start))
	seconds("wait_seconds", c.Wait)
	seconds("run_seconds", c.Run)
	text("algorithm", c.VanityURL)
	text("version", c.Version)
	text("replica", c.Replica)
	text("key_id", c.KeyID)
	text("subject", c.Subject)
	text("trace_id", c.Trace.TraceID())
	text("durable", c.Durable)
	if f := c.Failure; f != nil && f.Cause != nil {
		text("cause", f.Cause.Error())
	} else if f != nil {
		text("error_type", f.ErrorType)
	}
	return dst
}

// WriteLine writes a whole line of another kind.
func (l *AccessLog) WriteLine(line []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(append(l.buf, line...), '\n')
}

// Flush writes the lines that were gathered.
func (l *AccessLog) Flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flush()
}

func (l *AccessLog) flush() {
	if len(l.buf) > 0 {
		_, _ = l.to.Write(l.buf)
		l.buf = l.buf[:0]
	}
}
