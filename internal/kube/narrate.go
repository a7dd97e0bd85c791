package kube

import (
	"fmt"
	"strings"
	"time"
)

// heartbeatEvery is how often a wait says what it still waits for when nothing
// new happens.
const heartbeatEvery = 15 * time.Second

// narrator tells of a wait: what gets ready, each kind of trouble of an object
// once, and now and then what is still missing. Reasons come and go while a
// kubelet tries again; saying them each time would bury what matters.
type narrator struct {
	report func(format string, args ...any)
	told   map[string]bool  // object and kind of trouble
	most   map[string]int64 // ready pods said of each object
	begun  time.Time
	last   time.Time
}

func (n *narrator) say(format string, args ...any) {
	n.last = time.Now()
	n.report(format, args...)
}

// once says a thing the first time only.
func (n *narrator) once(key, format string, args ...any) {
	if n.told == nil {
		n.told, n.most, n.begun = map[string]bool{}, map[string]int64{}, time.Now()
	}
	if key != "" && !n.told[key] {
		n.told[key] = true
		n.say(format, args...)
	}
}

// tell is called with the state of all objects at each look.
func (n *narrator) tell(health []Health) {
	n.once("", "")
	for _, h := range health {
		before, known := n.most[h.Name]
		switch {
		case h.Ready:
			n.once(h.Name+" ready", "%s is ready (%d of %d)", h.Name, h.Running, h.Desired)
		case h.kind != "":
			n.once(h.Name+" "+h.kind, "%s", h)
		case known && h.Running > before:
			n.say("%s", h)
		}
		n.most[h.Name] = max(before, h.Running)
	}
	missing := notReady(health)
	if len(missing) == 0 {
		return
	}
	if since := n.last; since.IsZero() && time.Since(n.begun) >= heartbeatEvery || !since.IsZero() && time.Since(since) >= heartbeatEvery {
		n.say("still waiting after %s for %s", time.Since(n.begun).Round(time.Second), brief(missing))
	}
}

// trouble says once that the cluster does not answer.
func (n *narrator) trouble(err error) {
	n.once("trouble "+err.Error(), "the cluster did not answer, trying again: %v", err)
}

// brief names what is not ready on one line.
func brief(missing []Health) string {
	parts := make([]string, len(missing))
	for i, h := range missing {
		reason, _, _ := strings.Cut(h.Reason, "\n")
		if pod, rest, ok := strings.Cut(reason, ": "); ok && strings.HasPrefix(pod, "pod ") {
			reason = rest
		}
		state := fmt.Sprintf("%d of %d", h.Running, h.Desired)
		if h.outgoing() {
			state = "new pods"
		}
		if reason != "" {
			state += ": " + shorten(reason, 110)
		}
		parts[i] = h.Name + " (" + state + ")"
	}
	return strings.Join(parts, ", ")
}

func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return strings.TrimSpace(string(runes[:most-1])) + "…"
	}
	return s
}
