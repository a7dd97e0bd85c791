package health

import (
	"fmt"
	"strings"
	"time"
)

// reportInterval is how often a wait reports what it still waits for when nothing
// new happens.
const reportInterval = 15 * time.Second

// Progress reports on a wait: what gets ready, each kind of problem of an object
// once, and now and then what is still missing. Reasons come and go while a
// kubelet tries again; reporting them each time would bury what matters.
type Progress struct {
	report   func(format string, args ...any)
	reported map[string]bool  // object and kind of problem
	most     map[string]int64 // ready pods reported of each object
	begun    time.Time
	last     time.Time // that something was reported
}

// NewProgress returns a Progress that reports to the operator.
func NewProgress(report func(format string, args ...any)) *Progress {
	return &Progress{report: report, reported: map[string]bool{}, most: map[string]int64{}}
}

func (p *Progress) reportf(format string, args ...any) {
	p.last = time.Now()
	p.report(format, args...)
}

// once reports a thing the first time only.
func (p *Progress) once(key, format string, args ...any) {
	if !p.reported[key] {
		p.reported[key] = true
		p.reportf(format, args...)
	}
}

// begin notes when the wait began.
func (p *Progress) begin() {
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
}

// Observe is called with the state of all objects at each look.
func (p *Progress) Observe(health []Deployment) {
	p.begin()
	for _, h := range health {
		before, known := p.most[h.Name]
		switch {
		case h.Ready:
			p.once(h.Name+" ready", "%s is ready (%d of %d)", h.Name, h.Running, h.Desired)
		case h.Cause != "":
			p.once(h.Name+" "+h.Cause, "%s", h)
		case known && h.Running > before:
			p.reportf("%s", h)
		}
		p.most[h.Name] = max(before, h.Running)
	}
	missing := NotReady(health)
	if len(missing) == 0 {
		return
	}
	if since := p.last; since.IsZero() && time.Since(p.begun) >= reportInterval || !since.IsZero() && time.Since(since) >= reportInterval {
		p.reportf("still waiting after %s for %s", time.Since(p.begun).Round(time.Second), brief(missing))
	}
}

// Unreachable reports once that the cluster does not answer.
func (p *Progress) Unreachable(err error) {
	p.begin()
	p.once("trouble "+err.Error(), "the cluster did not answer, trying again: %v", err)
}

// brief names what is not ready on one line.
func brief(missing []Deployment) string {
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
