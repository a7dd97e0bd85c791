package eventloop

import (
	"errors"
	"time"
)

// acceptor is the part of a loop that accepts connections.
type acceptor struct {
	listener Socket // noSocket when this loop does not accept
	paused   bool
	warned   time.Time // that there is no descriptor
}

const (
	// acceptAtMost is how many connections are taken in a row: others' work
	// goes on meanwhile.
	acceptAtMost = 64
	warnEvery    = 10 * time.Second
)

// startAccepting makes the loop accept what comes to its listener.
func (l *Loop) startAccepting() {
	l.paused = false
	_ = l.poller.addListener(l.listener)
}

// stopAccepting leaves new connections to others who listen.
func (l *Loop) stopAccepting() {
	if l.listener >= 0 && !l.paused {
		l.poller.remove(l.listener)
	}
	l.refuse()
}

// refuse ends listening.
func (l *Loop) refuse() {
	if l.listener >= 0 {
		l.listener.Close()
		l.listener = noSocket
	}
}

// accept takes the connections that wait. Without a descriptor for one it
// stops listening until the next sweep, since the kernel would report it
// again at once, for ever.
func (l *Loop) accept() {
	for range acceptAtMost {
		s, err := accept(l.listener)
		switch {
		case err == nil:
			l.group.assign(s)
		case errors.Is(err, errAgain):
			return
		case errors.Is(err, errAborted):
		default:
			l.poller.remove(l.listener)
			l.paused = true
			if now := time.Now(); now.Sub(l.warned) >= warnEvery {
				l.warned = now
				l.group.log.Warn("connections cannot be accepted; idle ones are closed to make room", "error", err)
			}
			for _, other := range l.group.loops {
				other.PostFunc(other.owner.MakeRoom)
			}
			return
		}
	}
}

// acceptAgain listens again after a pause.
func (l *Loop) acceptAgain() {
	if l.paused && l.listener >= 0 {
		l.startAccepting()
	}
}
