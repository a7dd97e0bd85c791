package queue

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Watch calls f whenever something of the kind and algorithm was published or
// given back. It is a hint that may be lost: Pending is asked every few seconds
// besides. f is called from any goroutine and must not block.
func (q *Queue) Watch(k Kind, algorithm string, f func()) (stop func()) {
	return q.subscribe(hintSubject+"."+line(k, algorithm), func(*nats.Msg) { f() })
}

// Signal tells all engines something, this one too, as well as it can: nothing
// comes of it when an engine is away.
func (q *Queue) Signal(subject string, data []byte) {
	_ = q.conn.Publish(signalPrefix+"."+subject, data)
}

// OnSignal calls f with the data of each Signal of a subject. f is called from
// any goroutine and must not block.
func (q *Queue) OnSignal(subject string, f func(data []byte)) (stop func()) {
	return q.subscribe(signalPrefix+"."+subject, func(m *nats.Msg) { f(m.Data) })
}

func (q *Queue) subscribe(subject string, f nats.MsgHandler) (stop func()) {
	s, err := q.conn.Subscribe(subject, f)
	if err != nil {
		q.opts.Log.Error("listen at the queue", "subject", subject, "error", err)
		return func() {}
	}
	return func() { _ = s.Unsubscribe() }
}

// hintEvery bounds the hints of one line: a burst is one at its begin and one
// after it.
const hintEvery = 5 * time.Millisecond

// hints is when each line's last hint was, and whether another is to come.
type hints struct {
	mu    sync.Mutex
	lines map[string]*hinted
}

type hinted struct {
	at    time.Time
	later bool
}

// due reports whether a line's hint is to be sent now, and else whether it is
// to be sent after hintEvery.
func (h *hints) due(line string) (now, later bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lines == nil {
		h.lines = map[string]*hinted{}
	}
	l := h.lines[line]
	if l == nil {
		l = &hinted{}
		h.lines[line] = l
	}
	switch {
	case l.later:
		return false, false
	case time.Since(l.at) < hintEvery:
		l.later = true
		return false, true
	}
	l.at = time.Now()
	return true, false
}

func (h *hints) sent(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines[line].at, h.lines[line].later = time.Now(), false
}

func (q *Queue) hint(line string) {
	send := func() { _ = q.conn.Publish(hintSubject+"."+line, nil) }
	switch now, later := q.hints.due(line); {
	case now:
		send()
	case later:
		time.AfterFunc(hintEvery, func() {
			q.hints.sent(line)
			send()
		})
	}
}

func (q *Queue) hintAfter(line string, delay time.Duration) {
	time.AfterFunc(max(delay, 0)+10*time.Millisecond, func() { q.hint(line) })
}
