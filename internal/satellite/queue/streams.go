package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams. Each has its share of the volume; together they stay below what
// a node lets them store.
const (
	workStream   = "work"
	pieceStream  = "piece"
	blobStream   = "blob"
	workSubject  = "work"
	hintSubject  = "hint"
	signalPrefix = "signal"
	recordPrefix = "record"

	incarnationKey = "incarnation"

	// dedupWindow bounds what the servers remember of ids.
	dedupWindow = 2 * time.Minute
	// behindFor is how long a stream that lacks messages may be catching up.
	behindFor = 20 * time.Second
	// deadKeep is the least that dead letters are kept.
	deadKeep = 7 * 24 * time.Hour
)

// plan describes one stream.
type plan struct {
	name     string
	subjects []string
	percent  int64 // of the volume
	keep     func(keep time.Duration) time.Duration
	work     bool // work-queue retention; else the last value a subject
	ended    bool // what became of work: no new work is taken that it has no room for
}

func forKeep(keep time.Duration) time.Duration { return keep }
func forDead(keep time.Duration) time.Duration { return max(keep, deadKeep) }
func forEver(time.Duration) time.Duration      { return 0 }

// plans are in the order in which streams are made: work, which calls are
// accepted into, comes last.
var plans = []plan{
	{name: pieceStream, subjects: []string{pieceStream + ".>"}, percent: 15, keep: forEver},
	{name: blobStream, subjects: []string{blobStream + ".>"}, percent: 12, keep: forKeep, ended: true},
	{name: "call", subjects: []string{recordPrefix + ".call.>", recordPrefix + ".idem.>"}, percent: 12, keep: forKeep, ended: true},
	{name: "batch", subjects: []string{recordPrefix + ".batch.>", recordPrefix + ".chunk.>"}, percent: 12, keep: forKeep, ended: true},
	{name: "dead", subjects: []string{recordPrefix + ".dead.>"}, percent: 4, keep: forDead, ended: true},
	{name: "schedule", subjects: []string{recordPrefix + ".schedule.>"}, percent: 1, keep: forEver},
	{name: workStream, subjects: []string{workSubject + ".>"}, percent: 14, keep: forEver, work: true},
}

func (q *Queue) streamConfig(p plan, incarnation string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:        p.name,
		Subjects:    p.subjects,
		Storage:     jetstream.FileStorage,
		Replicas:    q.opts.Replicas,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    q.opts.Size / 100 * p.percent,
		MaxMsgSize:  maxStored,
		MaxAge:      p.keep(q.opts.Keep),
		Retention:   jetstream.LimitsPolicy,
		Duplicates:  dedupWindow,
		AllowDirect: p.work,
		Metadata:    map[string]string{incarnationKey: incarnation},
	}
	if p.work {
		c.Retention = jetstream.WorkQueuePolicy
	} else {
		c.MaxMsgsPerSubject = 1
		c.Duplicates = time.Second // records carry no ids
	}
	if c.MaxAge > 0 && c.Duplicates > c.MaxAge {
		c.Duplicates = c.MaxAge
	}
	return c
}

// settle brings the streams to what they are to be, and finds out whether the
// queue is still the one that calls were accepted by.
func (q *Queue) settle(ctx context.Context) error {
	// What is remembered is read before the queue is asked. Another engine that
	// makes the streams in between then shows as a conflict and not as a loss.
	known, unread := q.known(ctx)
	found, err := q.find(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnled, err)
	}
	if found.incarnation != "" && found.incarnation == known.Incarnation {
		if found.behind, err = q.isBehind(found, known); err != nil {
			return err
		}
	}
	if unread != nil && (known.Incarnation == "" || !known.Made || known.Incarnation != found.incarnation || found.behind) {
		return unread
	}
	if unread == nil {
		if known, err = q.addLost(ctx, known); err != nil {
			return err
		}
		if known, err = q.addErased(ctx, known); err != nil {
			return err
		}
	}
	next := q.resolve(known, found)
	if next.Incarnation != known.Incarnation {
		if err := q.remember(ctx, next); err != nil {
			return err
		}
		if len(next.Losses) > 0 && known.Incarnation != "" {
			q.tally.drop() // it is in the loss
		}
	}
	var crowded error
	for _, p := range plans {
		want := q.streamConfig(p, next.Incarnation)
		used, err := q.ensure(ctx, want)
		if err != nil {
			return fmt.Errorf("make the queue's stream %s: %w", p.name, err)
		}
		if p.ended && used > want.MaxBytes/100*fullPercent {
			crowded = fmt.Errorf("%w: what is kept of calls that have ended takes %d of %d MiB (%s): there is room once some were kept for their time",
				ErrFull, used>>20, want.MaxBytes>>20, p.name)
		}
	}
	if !next.Made {
		if err := q.finishMaking(ctx, next.Incarnation); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.incarnation != "" && q.incarnation != next.Incarnation {
		q.last.Store(0) // the numbers begin anew
		q.tally.begin(next.Observed)
	}
	q.incarnation, q.crowded = next.Incarnation, crowded
	return nil
}

// known returns what is remembered of the queue. With an error it is what this
// process knew of it last, which is enough as long as the queue is the same.
func (q *Queue) known(ctx context.Context) (MarkerState, error) {
	if q.opts.Marker == nil {
		return MarkerState{}, nil
	}
	state, err := q.opts.Marker.Load(ctx)
	if err == nil {
		return state, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.marker, fmt.Errorf("read the queue's incarnation: %w", err)
}

// found is the stream of calls as whoever leads it describes it.
type found struct {
	incarnation string // "" when there is no such stream
	last        uint64 // the highest number given to a message
	stored      uint64 // messages
	behind      bool   // it lacks numbers that were given
}

// find asks for the stream of calls. Only who leads the nodes says that there
// is none. A queue that cannot be asked is an error and never taken for an
// empty one.
func (q *Queue) find(ctx context.Context) (found, error) {
	// Nodes without a leader do not answer at all.
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	s, err := q.stream(ctx, workStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return found{}, nil
	case err != nil:
		return found{}, fmt.Errorf("ask for the queue's stream: %w", err)
	}
	info := s.CachedInfo()
	if i := info.Config.Metadata[incarnationKey]; i != "" {
		return found{incarnation: i, last: info.State.LastSeq, stored: info.State.Msgs}, nil
	}
	return found{}, errors.New("the queue's stream has no incarnation: it was made by something else")
}

// errNoLeader says that a node answered for a stream that nobody leads.
var errNoLeader = errors.New("no majority of the queue's nodes is there")

// errUnled says that the node that is connected does not reach a leader.
var errUnled = errors.New("the queue's node does not reach a leader")

// stream asks for a stream, and takes no answer but its leader's. Once a stream
// has had no leader for ten seconds, a server answers for itself, and what it has
// may be old (jsStreamInfoRequest of nats-server): that is errNoLeader. A server
// that runs alone names itself as the leader.
func (q *Queue) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := q.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	if c := s.CachedInfo().Cluster; c != nil && c.Leader == "" {
		return nil, errNoLeader
	}
	return s, nil
}

// isBehind reports whether the stream lacks numbers that were given. A leader
// that is new may not have all of them at once: until it had its time, that is
// an error.
func (q *Queue) isBehind(f found, known MarkerState) (bool, error) {
	given := known.LastSeq
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.incarnation == f.incarnation {
		given = max(given, q.last.Load())
	}
	if f.last >= given {
		q.behindSince = time.Time{}
		return false, nil
	}
	if q.behindSince.IsZero() {
		q.behindSince = time.Now()
	}
	if time.Since(q.behindSince) < q.opts.behindFor {
		return false, fmt.Errorf("the queue stands at message %d and had %d: it catches up, or it lost some", f.last, given)
	}
	q.behindSince = time.Time{}
	return true, nil
}

// resolve compares what is found with what is remembered and returns what is to
// be remembered from now on.
func (q *Queue) resolve(known MarkerState, f found) MarkerState {
	next := known
	switch {
	case known.Incarnation == "":
		next.Incarnation, next.Made = f.incarnation, false
	case known.Incarnation == f.incarnation && !f.behind, !known.Made && (f.incarnation == "" || f.incarnation == known.lastLost()):
		// It is the one that is remembered, or its maker ended while making it or
		// giving what is left of the lost one its new name.
		q.learn(known)
		return known
	default:
		calls := uint64(max(0, int64(known.Outstanding)+q.tally.after(known.Observed, known.LastSeq)))
		calls -= min(calls, known.erasedSince(known.Observed))
		if f.behind {
			// A part is left, and goes on under a new name.
			calls -= min(calls, f.stored)
			f.incarnation = ""
		}
		next.lose(Loss{At: q.opts.Now().UTC(), Calls: calls, Incarnation: known.Incarnation, Observed: known.Observed, LastSeq: known.LastSeq})
		next.Incarnation, next.Made, next.Outstanding, next.LastSeq = f.incarnation, false, 0, 0
		q.opts.Log.Error("queue lost: accepted calls are unaccounted for", "calls", calls, "incarnation", known.Incarnation)
	}
	if next.Incarnation == "" {
		next.Incarnation = rand.Text()
	}
	return next
}

func (q *Queue) remember(ctx context.Context, state MarkerState) error {
	if q.opts.Marker == nil {
		return nil
	}
	if err := q.opts.Marker.Save(ctx, state); err != nil {
		return fmt.Errorf("remember the queue's incarnation: %w", err)
	}
	q.learn(state)
	return nil
}

// finishMaking remembers that all streams of an incarnation are there.
func (q *Queue) finishMaking(ctx context.Context, incarnation string) error {
	if q.opts.Marker == nil {
		return nil
	}
	state, err := q.opts.Marker.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the queue's incarnation: %w", err)
	}
	if state.Incarnation != incarnation {
		return fmt.Errorf("%w: another engine made the queue meanwhile", ErrConflict)
	}
	state.Made = true
	return q.remember(ctx, state)
}

// ensure makes a stream, or changes the one there is where a setting differs.
// It returns how many bytes are stored in it.
func (q *Queue) ensure(ctx context.Context, want jetstream.StreamConfig) (used int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*settleTimeout)
	defer cancel()
	s, err := q.stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = q.js.CreateStream(ctx, want)
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	have, used := s.CachedInfo().Config, int64(s.CachedInfo().State.Bytes)
	if have.MaxBytes == want.MaxBytes && have.MaxAge == want.MaxAge && have.Metadata[incarnationKey] == want.Metadata[incarnationKey] {
		return used, nil
	}
	have.MaxBytes, have.MaxAge, have.Duplicates, have.Metadata = want.MaxBytes, want.MaxAge, want.Duplicates, want.Metadata
	_, err = q.js.UpdateStream(ctx, have)
	return used, err
}
