package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// oneDamage is how far apart nodes find that their disks were damaged at once.
const oneDamage = time.Hour

// addErased adds to the losses what nodes erased since their disks were damaged and
// no other node was whole.
func (q *Queue) addErased(ctx context.Context, known MarkerState) (MarkerState, error) {
	next := known
	next.Losses = slices.Clone(known.Losses)
	changed := false
	for _, e := range q.nodes.erased() {
		changed = next.erase(e) || changed
	}
	if q.opts.Marker == nil || !changed {
		return known, nil
	}
	if err := q.opts.Marker.Save(ctx, next); err != nil {
		return known, fmt.Errorf("remember how many calls could not be read: %w", err)
	}
	q.opts.Log.Error("queue lost: accepted calls could not be read on damaged disks", "calls", next.Losses[len(next.Losses)-1].Calls)
	return q.opts.Marker.Load(ctx)
}

// erase takes in what a node erased, and reports whether that is new. What several
// nodes erased at about the same time are copies of the same calls: the most counts.
func (s *MarkerState) erase(e node.Erased) bool {
	for i := range s.Losses {
		l := &s.Losses[i]
		if slices.Contains(l.Erased, e.ID) {
			return false
		}
		if len(l.Erased) > 0 && l.Incarnation == s.Incarnation && l.At.Sub(e.At).Abs() < oneDamage {
			l.Calls, l.Erased = max(l.Calls, e.Calls), append(slices.Clone(l.Erased), e.ID)
			return true
		}
	}
	s.lose(Loss{At: e.At, Calls: e.Calls, Incarnation: s.Incarnation, Erased: []string{e.ID}})
	return true
}

// erasedSince returns how many calls were told as erased since an observation.
func (s *MarkerState) erasedSince(observed time.Time) (calls uint64) {
	for _, l := range s.Losses {
		if len(l.Erased) > 0 && l.Incarnation == s.Incarnation && l.At.After(observed) {
			calls += l.Calls
		}
	}
	return calls
}

// erased returns what the nodes tell that they erased.
func (t *nodeTable) erased() (all []node.Erased) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		if n.Erased != nil && n.Erased.ID != "" {
			all = append(all, *n.Erased)
		}
	}
	return all
}
