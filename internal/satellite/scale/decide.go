package scale

import (
	"cmp"
	"time"
)

// Policy is how fast replicas follow the load. Zero fields are defaults.
type Policy struct {
	Stable   time.Duration // 60 s: the window that the count follows
	Short    time.Duration // 6 s: the window that a sudden load is seen in
	Cooldown time.Duration // 60 s: how long fewer replicas must do until there are fewer
	Idle     time.Duration // 5 min: how long there are no calls until there are no replicas
}

func (p Policy) withDefaults() Policy {
	return Policy{
		Stable: cmp.Or(p.Stable, time.Minute), Short: cmp.Or(p.Short, 6*time.Second),
		Cooldown: cmp.Or(p.Cooldown, time.Minute), Idle: cmp.Or(p.Idle, 5*time.Minute),
	}
}

const (
	// minStep is how many replicas may be added in a short window at least.
	minStep = 4
	// burstFactor is how many times the ready replicas the short window must ask for
	// to be followed at once.
	burstFactor = 2
)

// observation is what a decision is made from.
type observation struct {
	calls   int // that run or wait
	ready   int // replicas that take calls
	current int // replicas that were asked for last
}

// decider decides how many replicas an algorithm is to have. Time is what it is
// told: it is called about once a second.
type decider struct {
	policy  Policy
	started time.Time // when it was first told anything
	busy    time.Time // when there was a call last; else when it started
	loads   window    // calls that run or wait
	room    window    // calls that there was room for, less those
	asked   window    // what the load asked for

	raisedFrom int // what there was when the running period of growth began
	raisedAt   time.Time
}

func newDecider(p Policy) *decider { return &decider{policy: p.withDefaults()} }

// wake notes that a call waits which is in no observation yet.
func (d *decider) wake(now time.Time) {
	if now.After(d.busy) {
		d.busy = now
	}
}

// decide returns how many replicas there are to be now, and whether the load is
// a sudden one.
func (d *decider) decide(now time.Time, o observation, t Target) (replicas int, suddenly bool) {
	if d.started.IsZero() {
		d.started = now
		d.wake(now)
	}
	if o.calls > 0 {
		d.wake(now)
	}
	concurrency := max(1, t.Concurrency)
	d.loads.add(now, o.calls)
	d.loads.forget(now.Add(-d.policy.Stable))
	d.room.add(now, o.ready*concurrency-o.calls)
	d.room.forget(now.Add(-d.policy.Short))

	wanted := ceil(d.loads.mean(now.Add(-d.policy.Stable)), concurrency)
	short := ceil(d.loads.mean(now.Add(-d.policy.Short)), concurrency)
	if short > o.ready && short > wanted && (short >= burstFactor*o.ready || d.room.most() < 0) {
		wanted, suddenly = short, true
	}
	least := t.Min
	if least == 0 && (o.calls > 0 || o.current > 0 && now.Sub(d.busy) < d.policy.Idle) {
		least = 1
	}
	wanted = min(max(wanted, least), t.Max)
	d.asked.add(now, wanted)
	d.asked.forget(now.Add(-d.policy.Cooldown))
	switch {
	case o.current > t.Max:
		return t.Max, suddenly
	case o.current < t.Min:
		return t.Min, suddenly
	case wanted == 0: // it has been idle for long enough
		return 0, suddenly
	case wanted > o.current:
		return d.raise(now, o.current, wanted), suddenly
	case wanted < o.current && now.Sub(d.started) >= d.policy.Cooldown:
		return min(o.current, d.asked.most()), suddenly
	}
	return o.current, suddenly
}

// raise holds growth to its rate.
func (d *decider) raise(now time.Time, current, wanted int) int {
	if now.Sub(d.raisedAt) >= d.policy.Short || current < d.raisedFrom {
		d.raisedAt, d.raisedFrom = now, current
	}
	return max(current, min(wanted, max(2*d.raisedFrom, d.raisedFrom+minStep)))
}

// ceil returns how many replicas carry calls, rounded up. What is a thousandth
// more than a replica carries is no other one.
func ceil(calls float64, concurrency int) int {
	n := calls / float64(concurrency)
	whole := int(n)
	if n-float64(whole) > 0.001 {
		whole++
	}
	return whole
}

// window holds what was observed lately.
type window struct{ samples []sample }

type sample struct {
	at time.Time
	n  int
}

func (w *window) add(at time.Time, n int) { w.samples = append(w.samples, sample{at, n}) }

// forget forgets what was observed until then.
func (w *window) forget(until time.Time) {
	i := 0
	for i < len(w.samples) && !w.samples[i].at.After(until) {
		i++
	}
	w.samples = append(w.samples[:0], w.samples[i:]...)
}

// mean returns the mean of what was observed after then; 0 of nothing.
func (w *window) mean(after time.Time) float64 {
	sum, n := 0, 0
	for i := len(w.samples) - 1; i >= 0 && w.samples[i].at.After(after); i-- {
		sum += w.samples[i].n
		n++
	}
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

// most returns the greatest number; there is one.
func (w *window) most() int {
	most := w.samples[0].n
	for _, s := range w.samples {
		most = max(most, s.n)
	}
	return most
}
