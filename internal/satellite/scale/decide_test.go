package scale

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// sim is a satellite's algorithm without clocks and clusters: calls come, wait in
// a queue and run on replicas, which take a while to start. A step is 100 ms.
type sim struct {
	decider *decider // nil: the count stays
	target  Target
	random  *rand.Rand
	length  int // steps that a call takes, on average
	starts  int // steps that a replica takes to start
	limit   int // calls in the queue

	now      int
	current  int   // replicas asked for
	ready    []int // steps at which replicas are ready
	running  []int // steps at which calls end
	waiting  []int // steps at which calls came
	counts   []int // replicas asked for, by second
	inTime   int   // calls that began within a second
	late     int
	refused  int
	replicas int // replica-steps
}

const step = 100 * time.Millisecond

var simStart = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// slots returns how many calls may run at once.
func (s *sim) slots() int { return s.readyCount() * s.target.Concurrency }

func (s *sim) readyCount() (n int) {
	for _, at := range s.ready {
		if at <= s.now {
			n++
		}
	}
	return n
}

func (s *sim) set(n int) {
	for len(s.ready) < n {
		s.ready = append(s.ready, s.now+s.starts)
	}
	s.ready = s.ready[:n]
	s.current = n
}

// run lets calls come at a rate a second, for a time.
func (s *sim) run(rate float64, seconds int) {
	for range seconds * 10 {
		s.now++
		s.running = slices.DeleteFunc(s.running, func(end int) bool { return end <= s.now })
		for n := rate / 10; n > 0 && s.random.Float64() < n; n-- {
			s.arrive(1)
		}
		s.serve()
		s.replicas += s.current
		if s.now%10 == 0 {
			s.decide()
			s.counts = append(s.counts, s.current)
		}
	}
}

func (s *sim) arrive(calls int) {
	for range calls {
		if len(s.waiting) >= s.limit {
			s.refused++
			continue
		}
		s.waiting = append(s.waiting, s.now)
	}
}

func (s *sim) serve() {
	for len(s.waiting) > 0 && len(s.running) < s.slots() {
		if s.now-s.waiting[0] <= 10 {
			s.inTime++
		} else {
			s.late++
		}
		s.waiting = s.waiting[1:]
		s.running = append(s.running, s.now+max(1, int(float64(s.length)*(0.5+s.random.Float64()))))
	}
}

func (s *sim) decide() {
	if s.decider == nil {
		return
	}
	now := simStart.Add(time.Duration(s.now) * step)
	n, _ := s.decider.decide(now, observation{len(s.running) + len(s.waiting), s.readyCount(), s.current}, s.target)
	s.set(n)
}

func newSim(d *decider, t Target) *sim {
	s := &sim{decider: d, target: t, random: rand.New(rand.NewPCG(3, 4)), length: 10, starts: 80, limit: 1000}
	return s
}

// A load that doubles is followed within 30 s, and the replicas come back when it
// ends; they never leave their bounds.
func TestReplicasFollowALoadThatDoubles(t *testing.T) {
	for _, concurrency := range []int{1, 4, 16} {
		for _, rate := range []float64{2, 6, 20} {
			target := Target{Min: 1, Max: 60, Concurrency: concurrency}
			s := newSim(newDecider(Policy{}), target)
			s.set(1)
			s.ready[0] = 0
			s.run(rate, 300)
			before := s.current
			at := len(s.counts)
			s.run(2*rate, 300)
			need := int(2 * rate * 1.0 / float64(concurrency)) // calls of a second each
			reached := slices.IndexFunc(s.counts[at:], func(n int) bool { return n >= need })
			if reached < 0 || reached > 30 {
				t.Errorf("concurrency %d, %v calls a second: %d replicas reached after %d s, want within 30: %v", concurrency, rate, need, reached, s.counts[at:])
			}
			s.run(rate, 400)
			// Replicas without head-room swing: they are as few as before again and again.
			if after := slices.Min(s.counts[len(s.counts)-200:]); after > before+1 {
				t.Errorf("concurrency %d, %v calls a second: %d replicas after the load ended, %d before", concurrency, rate, after, before)
			}
			if low, high := slices.Min(s.counts), slices.Max(s.counts); low < target.Min || high > target.Max {
				t.Errorf("%d to %d replicas, want %d to %d", low, high, target.Min, target.Max)
			}
		}
	}
}

// However the load is, the count stays within its bounds, grows no faster than its
// rate, and falls only when it was too high for the cool-down.
func TestReplicasStayWithinTheirBounds(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		target := Target{Min: r.IntN(3), Concurrency: 1 + r.IntN(8)}
		target.Max = max(1, target.Min) + r.IntN(12)
		d, now, current := newDecider(Policy{}), simStart, target.Min
		for range 2000 {
			now = now.Add(time.Duration(500+r.IntN(4000)) * time.Millisecond)
			calls := 0
			if r.IntN(3) > 0 {
				calls = r.IntN(200)
			}
			n, _ := d.decide(now, observation{calls, r.IntN(current + 1), current}, target)
			if n < target.Min || n > target.Max {
				t.Fatalf("seed %d: %d replicas, want %d to %d", seed, n, target.Min, target.Max)
			}
			if n > max(2*current, current+minStep) {
				t.Fatalf("seed %d: from %d to %d replicas at once", seed, current, n)
			}
			current = n
		}
		if len(d.loads.samples) > 200 || len(d.asked.samples) > 200 {
			t.Fatalf("the windows hold %d and %d samples", len(d.loads.samples), len(d.asked.samples))
		}
	}
}

// Without calls there are none after the idle time, and not before; the first
// call has one asked for at the next decision.
func TestReplicasGoToZeroAndComeBack(t *testing.T) {
	s := newSim(newDecider(Policy{Idle: 5 * time.Minute}), Target{Min: 0, Max: 50, Concurrency: 1})
	s.set(2)
	s.run(1, 60)
	for len(s.running) > 0 || len(s.waiting) > 0 {
		s.run(0, 1)
	}
	s.run(0, 295)
	if s.current != 1 {
		t.Errorf("%d replicas just before the idle time is over, want 1", s.current)
	}
	s.run(0, 10)
	if s.current != 0 {
		t.Errorf("%d replicas after the idle time, want 0", s.current)
	}
	s.starts = 400 // a model that loads for 40 s
	s.arrive(50)
	s.run(0, 1)
	if s.current == 0 {
		t.Error("no replica was asked for though 50 calls wait")
	}
	s.run(0, 120)
	if len(s.waiting) > 0 || s.refused > 0 {
		t.Errorf("%d of 50 calls wait on, %d were refused", len(s.waiting), s.refused)
	}
	if high := slices.Max(s.counts); high > 50 {
		t.Errorf("%d replicas, want 50 at most", high)
	}
	s.run(0, 400)
	if s.current != 0 {
		t.Errorf("%d replicas after the idle time, want 0", s.current)
	}
}

// A least or a most that changes is kept at once, and a decider that begins anew
// does not take replicas away that it has not watched.
func TestBoundsThatChange(t *testing.T) {
	d := newDecider(Policy{})
	for _, test := range []struct {
		o    observation
		t    Target
		want int
	}{
		{observation{calls: 0, ready: 7, current: 7}, Target{Min: 1, Max: 10, Concurrency: 1}, 7},
		{observation{calls: 0, ready: 7, current: 7}, Target{Min: 1, Max: 5, Concurrency: 1}, 5},
		{observation{calls: 0, ready: 5, current: 5}, Target{Min: 9, Max: 20, Concurrency: 1}, 9},
		{observation{calls: 0, ready: 9, current: 9}, Target{Min: 0, Max: 20, Concurrency: 1}, 9},
	} {
		if got, _ := d.decide(simStart, test.o, test.t); got != test.want {
			t.Errorf("%+v, %+v: %d replicas, want %d", test.o, test.t, got, test.want)
		}
	}
}

// The same load with a fixed count and with replicas that follow it: what is
// served in time, and what it costs.
func TestFollowingBesideAFixedCount(t *testing.T) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "replicas\tcalls in time\tlate\trefused\treplica-seconds\t")
	type row struct{ share, cost float64 }
	rows := map[string]row{}
	for _, test := range []struct {
		name     string
		min, max int
	}{{"2", 2, 2}, {"4", 4, 4}, {"10", 10, 10}, {"1..10", 1, 10}} {
		var d *decider
		if test.min < test.max {
			d = newDecider(Policy{})
		}
		s := newSim(d, Target{Min: test.min, Max: test.max, Concurrency: 1})
		s.set(test.min)
		for i := range s.ready {
			s.ready[i] = 0
		}
		for range 3 { // an hour of quiet times and rushes
			s.run(0.5, 600)
			s.run(3, 200)
			s.run(7, 300)
			s.run(1, 100)
		}
		s.run(0, 60)
		all := s.inTime + s.late + s.refused
		rows[test.name] = row{float64(s.inTime) / float64(all), float64(s.replicas) / 10}
		fmt.Fprintf(w, "%s\t%.1f %%\t%d\t%d\t%d\t\n", test.name, 100*float64(s.inTime)/float64(all), s.late, s.refused, s.replicas/10)
	}
	_ = w.Flush()
	t.Log("\n" + out.String())
	follows := rows["1..10"]
	if follows.share < 0.95 {
		t.Errorf("%.3f of the calls are served in time, want 0.95", follows.share)
	}
	if follows.share < rows["4"].share || follows.cost > 0.6*rows["10"].cost {
		t.Errorf("replicas that follow the load: %+v, fixed ones: %+v", follows, rows)
	}
}
