// Package stats is what a satellite's engine counts of its calls, in a form
// that can be taken at any moment, added up over engines and subtracted from
// a later one: for the heartbeat, GET /v1/status and the other engines. It
// imports the standard library only.
package stats

import (
	"cmp"
	"maps"
	"time"
)

// Snapshot is what an engine, or all engines of a satellite together, counted
// since they started. Gauges (Ready, Desired, InFlight, Queued) are of now.
type Snapshot struct {
	At         time.Time   `json:"at"`
	Engines    int         `json:"engines"` // whose counts are in here
	Algorithms []Algorithm `json:"algorithms"`
}

// Algorithm is one algorithm's part of a Snapshot.
type Algorithm struct {
	VanityURL string            `json:"vanity_url"`
	Algorithm string            `json:"algorithm"`         // OWNER/NAME/HASH
	Ready     int               `json:"ready"`             // replicas that take calls
	Desired   int               `json:"desired"`           // replicas the plan asks for
	InFlight  int               `json:"in_flight"`         // calls that run
	Queued    int               `json:"queued"`            // calls that wait
	Seeking   int               `json:"seeking,omitempty"` // durable calls that have a replica sought
	Calls     uint64            `json:"calls"`             // that came to this algorithm, however they ended
	Errors    map[string]uint64 `json:"errors,omitempty"`
	Latency   Histogram         `json:"latency"` // of calls that a replica answered, from arrival to answer
	// Scale is what became of replicas that follow the load, as the one engine
	// says that decides; nil of the others.
	Scale *Scale `json:"scale,omitempty"`
}

// Scale is what became of replicas that follow the load.
type Scale struct {
	Desired int    `json:"desired"` // that the load asks for
	Min     int    `json:"min"`
	Max     int    `json:"max"`
	Burst   bool   `json:"suddenly,omitempty"` // the load came suddenly, and is followed at once
	Reason  string `json:"reason,omitempty"`   // why there are fewer; "" when there are not, or it is not known
	Manual  string `json:"hand,omitempty"`     // who else set the count, and what became of it
}

// Failed is the number of calls that ended in an error of any type.
func (a Algorithm) Failed() uint64 {
	var n uint64
	for _, count := range a.Errors {
		n += count
	}
	return n
}

// Since returns what was counted after before, an earlier snapshot of the same
// engines. A counter that went down (an engine restarted) counts from zero.
func (s Snapshot) Since(before Snapshot) Snapshot {
	old := make(map[string]Algorithm, len(before.Algorithms))
	for _, a := range before.Algorithms {
		old[a.VanityURL] = a
	}
	out := s
	out.Algorithms = make([]Algorithm, len(s.Algorithms))
	for i, a := range s.Algorithms {
		b := old[a.VanityURL]
		if a.Calls >= b.Calls {
			a.Calls -= b.Calls
			a.Errors = subtract(a.Errors, b.Errors)
			a.Latency = a.Latency.Since(b.Latency)
		}
		out.Algorithms[i] = a
	}
	return out
}

func subtract(after, before map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(after))
	for name, n := range after {
		if n > before[name] {
			out[name] = n - before[name]
		}
	}
	return out
}

// Add returns the two engines' counts together. Replicas are the same ones for
// both: the larger number counts.
func (s Snapshot) Add(other Snapshot) Snapshot {
	out := Snapshot{At: s.At, Engines: s.Engines + other.Engines}
	theirs := make(map[string]Algorithm, len(other.Algorithms))
	for _, a := range other.Algorithms {
		theirs[a.VanityURL] = a
	}
	for _, a := range s.Algorithms {
		b, both := theirs[a.VanityURL]
		if both {
			a.Ready, a.Desired, a.Scale = max(a.Ready, b.Ready), max(a.Desired, b.Desired), cmp.Or(a.Scale, b.Scale)
			if a.Scale != nil {
				a.Desired = a.Scale.Desired
			}
			a.InFlight += b.InFlight
			a.Queued += b.Queued
			a.Seeking += b.Seeking
			a.Calls += b.Calls
			errors := maps.Clone(a.Errors)
			if errors == nil {
				errors = map[string]uint64{}
			}
			for name, n := range b.Errors {
				errors[name] += n
			}
			a.Errors = errors
			a.Latency = a.Latency.Add(b.Latency)
		}
		out.Algorithms = append(out.Algorithms, a)
	}
	return out
}
