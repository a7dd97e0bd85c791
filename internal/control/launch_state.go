package control

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// launchState is what is kept of a launch's heartbeats, as JSON beside its
// status: the last one, what its engines had counted by then, what that makes
// in all, and the points of its history that still grow.
type launchState struct {
	Engine     string                          `json:"engine"`
	Sequence   int64                           `json:"sequence"`
	Algorithms []constellation.AlgorithmState  `json:"algorithms"`
	Engines    []engineState                   `json:"engines"`
	Ever       map[string]*constellation.Tally `json:"ever"`
	Open       []*historyPoint                 `json:"open"` // one for each of constellation.HistoryResolutions
	Work       constellation.WorkState         `json:"work,omitzero"`
}

// engineState is what an engine had counted when it was last heard of.
type engineState struct {
	ID        string                          `json:"id"`
	StartedAt time.Time                       `json:"started"`
	HeardAt   time.Time                       `json:"heard"`
	Counts    map[string]*constellation.Tally `json:"counts,omitempty"`
}

// historyPoint is one stretch of a history, of the launch and of each of its
// algorithms.
type historyPoint struct {
	At         time.Time                  `json:"at"`
	Heartbeats int                        `json:"n"`
	Ready      int                        `json:"r"` // the fewest
	Wanted     int                        `json:"w"` // the last
	Algorithms map[string]*algorithmPoint `json:"a,omitempty"`
}

type algorithmPoint struct {
	Ready  int `json:"r"`
	Wanted int `json:"w"`
	constellation.Tally
}

const (
	engineMemory = 24 * time.Hour // an engine that is not heard of for this long is forgotten
	maxEngines   = 64             // and the oldest of more than these
)

func readLaunchState(data string) (*launchState, error) {
	s := &launchState{}
	if err := json.Unmarshal([]byte(data), s); err != nil {
		return nil, fmt.Errorf("read launch state: %w", err)
	}
	return s, nil
}

// text is the state as readLaunchState reads it.
func (s *launchState) text() (string, error) {
	data, err := json.Marshal(s, json.OmitZeroStructFields(true))
	if err != nil {
		return "", fmt.Errorf("encode launch state: %w", err)
	}
	return string(data), nil
}

// record takes a heartbeat into the state and returns the points of the history
// that ended with it. An older one that was overtaken by a newer, as on the way
// through another server, is not fresh: it proves life, and nothing else.
func (s *launchState) record(b *constellation.Heartbeat, at time.Time) (fresh bool, ended []*historyPoint, lengths []time.Duration) {
	fresh = b.Engine != s.Engine || b.Sequence > s.Sequence
	if fresh {
		s.Engine, s.Sequence, s.Algorithms, s.Work = b.Engine, b.Sequence, b.Algorithms, b.Work
	}
	if len(s.Open) != len(constellation.HistoryResolutions) {
		s.Open = make([]*historyPoint, len(constellation.HistoryResolutions))
	}
	for i, resolution := range constellation.HistoryResolutions {
		start := at.Truncate(resolution.Length)
		if open := s.Open[i]; open != nil && !open.At.Equal(start) {
			ended, lengths = append(ended, open), append(lengths, resolution.Length)
			s.Open[i] = nil
		}
		if s.Open[i] == nil {
			s.Open[i] = &historyPoint{At: start}
		}
		s.Open[i].record(s.Algorithms)
	}
	if fresh {
		s.count(b, at)
	}
	return fresh, ended, lengths
}

// record notes the replicas of one heartbeat.
func (p *historyPoint) record(algorithms []constellation.AlgorithmState) {
	ready, wanted := replicas(algorithms)
	if p.Heartbeats == 0 || ready < p.Ready {
		p.Ready = ready
	}
	p.Wanted = wanted
	p.Heartbeats++
	if p.Algorithms == nil {
		p.Algorithms = make(map[string]*algorithmPoint, len(algorithms))
	}
	for _, a := range algorithms {
		point := p.Algorithms[a.VanityURL]
		if point == nil {
			point = &algorithmPoint{Ready: a.Ready}
			p.Algorithms[a.VanityURL] = point
		}
		point.Ready, point.Wanted = min(point.Ready, a.Ready), a.Wanted
	}
}

func replicas(algorithms []constellation.AlgorithmState) (ready, wanted int) {
	for _, a := range algorithms {
		ready += min(a.Ready, a.Wanted) // one that is too many makes up for none that lacks
		wanted += a.Wanted
	}
	return ready, wanted
}

// count adds what the engines counted since they were last heard of. Counts of
// algorithms that do not run have no place to be shown in, and would let a
// launch fill the database.
func (s *launchState) count(b *constellation.Heartbeat, at time.Time) {
	ever := make(map[string]*constellation.Tally, len(b.Algorithms))
	for _, a := range b.Algorithms {
		if ever[a.VanityURL] = s.Ever[a.VanityURL]; ever[a.VanityURL] == nil {
			ever[a.VanityURL] = &constellation.Tally{}
		}
	}
	s.Ever = ever
	for _, e := range b.Engines {
		base := s.engine(e.ID)
		for vanity, now := range e.Counts {
			total := ever[vanity]
			if total == nil {
				delete(e.Counts, vanity)
				continue
			}
			delta := now.Since(base.Counts[vanity])
			if delta.Empty() {
				continue
			}
			total.Add(delta)
			for _, open := range s.Open {
				open.Algorithms[vanity].Add(delta)
			}
		}
		base.StartedAt, base.HeardAt, base.Counts = e.StartedAt, at, e.Counts
	}
	s.evictEngines(at)
}

func (s *launchState) engine(id string) *engineState {
	for i := range s.Engines {
		if s.Engines[i].ID == id {
			return &s.Engines[i]
		}
	}
	s.Engines = append(s.Engines, engineState{ID: id})
	return &s.Engines[len(s.Engines)-1]
}

func (s *launchState) evictEngines(at time.Time) {
	s.Engines = slices.DeleteFunc(s.Engines, func(e engineState) bool { return at.Sub(e.HeardAt) > engineMemory })
	if extra := len(s.Engines) - maxEngines; extra > 0 {
		slices.SortStableFunc(s.Engines, func(a, b engineState) int { return a.HeardAt.Compare(b.HeardAt) })
		s.Engines = slices.Delete(s.Engines, 0, extra)
	}
}

// settle gives a report the status that a heartbeat at the time makes, of which
// constellation.Health is what health says. A
// change between up and degraded needs two heartbeats in a row that agree, so
// that one pod's restart is no alarm; a stale launch that reports again is
// degraded until its next heartbeat.
func settle(r *postgres.Report, health string, at time.Time) {
	target := constellation.LaunchUp
	if health != "" {
		target = constellation.LaunchDegraded
	}
	was := r.Status
	switch was {
	case constellation.LaunchNeverSeen:
		r.Status, r.Streak = target, 0
	case constellation.LaunchStale:
		r.Status, r.Streak = constellation.LaunchDegraded, 0
		if target == constellation.LaunchUp {
			r.Streak = 1
		}
	case target:
		r.Streak = 0
	default:
		if r.Streak++; r.Streak > 1 {
			r.Status, r.Streak = target, 0
		}
	}
	if r.Status != was {
		r.StatusSince = at
	}
	r.StatusReason = reason(r, was, health)
}

func reason(r *postgres.Report, was constellation.LaunchStatus, health string) string {
	all := fmt.Sprintf("all %d replicas are ready", r.Wanted)
	switch r.Wanted {
	case 0:
		all = "it wants no replicas"
	case 1:
		all = "its one replica is ready"
	}
	switch {
	case was == constellation.LaunchStale && health == "":
		return "it reports again after a silence, and " + all + "; up with its next heartbeat"
	case health != "" && r.Status == constellation.LaunchUp:
		return health + "; degraded if its next heartbeat says so too"
	case health != "":
		return health
	case r.Status == constellation.LaunchDegraded:
		return all + " again; up with its next heartbeat"
	}
	return all
}
