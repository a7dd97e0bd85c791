package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How heartbeats are stored: by one writer, in transactions of at most
// batchSize launches, each writePeriod; sooner, after a linger in which others
// may join, when somebody waits for a first one.
const (
	writePeriod   = time.Second
	linger        = 10 * time.Millisecond
	batchSize     = 1000
	sweepPeriod   = 5 * time.Second
	pulseMemory   = 15 * time.Minute // how long a launch that went silent is remembered
	reportsLock   = "launch reports" // one writer at a time, whichever server's
	finalWrite    = 10 * time.Second
	clockSlack    = 5 * time.Second
	maxSlowdown   = 4
	busyToSlow    = .5 // of the time spent writing
	listenRetry   = time.Second
	maxNotifyIDs  = 80 // in one NOTIFY: of 8000 bytes
	manyLaunches  = 400
	defaultPeriod = 30 * time.Second
)

// Run stores heartbeats, finds launches that went silent, and passes on what
// changed, until ctx ends; what was taken by then is stored.
func (s *Service) Run(ctx context.Context) {
	h := s.memory.heart
	h.watching.Store(s.now().UnixMicro())
	h.run(true)
	var both sync.WaitGroup
	both.Go(func() { s.listen(ctx) })
	both.Go(func() { s.write(ctx) })
	both.Wait()
}

func (h *heart) run(running bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = running
}

// write is the one writer.
func (s *Service) write(ctx context.Context) {
	h := s.memory.heart
	tick := time.NewTicker(writePeriod)
	defer tick.Stop()
	var swept time.Time
	var busy float64
	for looked := time.Now(); ; {
		select {
		case <-ctx.Done():
			h.run(false)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalWrite)
			defer cancel()
			if err := s.flush(ctx); err != nil {
				s.options.Log.ErrorContext(ctx, "store the last heartbeats", "error", err)
			}
			return
		case <-h.wake:
			pause(ctx, linger)
		case <-tick.C:
		}
		begun := time.Now()
		if clockJumped(begun.Round(0).Sub(looked.Round(0)), begun.Sub(looked)) {
			s.options.Log.WarnContext(ctx, "the clock was set, or the machine slept: launches count as silent from now on only")
			h.watching.Store(s.now().UnixMicro())
		}
		looked = begun
		err := s.flush(ctx)
		if err == nil && begun.Sub(swept) >= sweepPeriod {
			swept = begun
			h.forgetIdle(s.now().Add(-pulseMemory))
			err = s.sweep(ctx)
		}
		busy = busy*.8 + min(1, time.Since(begun).Seconds()/writePeriod.Seconds())*.2
		h.slow(busy)
		if err != nil && ctx.Err() == nil {
			s.options.Log.ErrorContext(ctx, "store heartbeats", "error", err)
			h.watching.Store(0)
			pause(ctx, writePeriod)
		} else if h.watching.Load() == 0 { // the database is back: nobody was silent while it was away
			h.watching.Store(s.now().UnixMicro())
		}
	}
}

// clockJumped says whether the clock went on otherwise than time passed: then
// a silence that it shows was none.
func clockJumped(shown, passed time.Duration) bool { return (shown - passed).Abs() > clockSlack }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// slow stretches the interval when writing takes most of the time.
func (h *heart) slow(busy float64) {
	now := h.slowdown.Load()
	switch {
	case busy > busyToSlow && now < maxSlowdown:
		h.slowdown.Store(now * 2)
	case busy < busyToSlow/4 && now > 1:
		h.slowdown.Store(now / 2)
	}
}

func (h *heart) forgetIdle(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, p := range h.pulses {
		if p.used.Load() < since.Unix() {
			delete(h.pulses, id)
		}
	}
}

// watchingSince is since when this server would have heard a launch; silence
// before says nothing.
func (s *Service) watchingSince() time.Time {
	at := s.memory.heart.watching.Load()
	if at == 0 {
		return s.now()
	}
	return time.UnixMicro(at).UTC()
}

// flush stores what is queued. What cannot be stored is queued again, but for
// a heartbeat that fails by itself.
func (s *Service) flush(ctx context.Context) error {
	var failed error
	for batch := range slices.Chunk(s.memory.heart.take(), batchSize) {
		if failed != nil { // the rest would fail the same way
			for _, b := range batch {
				b.acknowledge(nil, failed)
			}
			s.memory.heart.putBack(batch)
			continue
		}
		err := s.store(ctx, batch)
		if err == nil {
			continue
		}
		if len(batch) > 1 && constellation.KindOf(err) != constellation.KindUnavailable && ctx.Err() == nil {
			for _, b := range batch { // find the one
				if err := s.store(ctx, []*beat{b}); err != nil {
					s.options.Log.ErrorContext(ctx, "store a heartbeat", "launch_id", b.pulse.LaunchID, "error", err)
				}
			}
			continue
		}
		failed = err
		s.memory.heart.putBack(batch)
	}
	return failed
}

// store writes a batch in one transaction and tells who waits.
func (s *Service) store(ctx context.Context, batch []*beat) error {
	var living map[string]bool
	err := s.transact(ctx, func(s *Service) (err error) {
		living, err = s.storeReports(ctx, batch)
		return err
	})
	for _, b := range batch {
		b.acknowledge(living, err)
	}
	return err
}

func (b *beat) acknowledge(living map[string]bool, err error) {
	id := b.pulse.LaunchID
	switch {
	case err != nil:
	case !living[id]:
		err = constellation.Errorf(constellation.KindNotFound, "launch %s was removed", id)
	default:
		b.pulse.seen.Store(true)
	}
	if b.stored != nil {
		b.stored.err = err
		close(b.stored.done)
		b.stored = nil
	}
}

// storeReports is store's transaction; it gives the launches that still are.
func (s *Service) storeReports(ctx context.Context, batch []*beat) (map[string]bool, error) {
	if err := s.db.Lock(ctx, reportsLock); err != nil {
		return nil, err
	}
	ids, beats := make([]string, len(batch)), make(map[string]*beat, len(batch))
	for i, b := range batch {
		ids[i], beats[b.pulse.LaunchID] = b.pulse.LaunchID, b
	}
	rows, err := s.db.Reports(ctx, ids)
	if err != nil {
		return nil, err
	}
	var w reportWrite
	for i := range rows {
		if err := w.hear(&rows[i], beats[rows[i].LaunchID]); err != nil {
			return nil, err
		}
	}
	inserted, err := s.db.InsertReports(ctx, w.first)
	if err != nil {
		return nil, err
	}
	updated, err := s.db.UpdateReports(ctx, w.later)
	if err != nil {
		return nil, err
	}
	living := make(map[string]bool, len(ids))
	for _, id := range append(inserted, updated...) {
		living[id] = true
	}
	w.keepLiving(living)
	if err := s.db.PutHistory(ctx, w.history); err != nil {
		return nil, err
	}
	if err := s.db.MoveStatuses(ctx, sumMoves(w.moves)); err != nil {
		return nil, err
	}
	if err := s.db.NoteKeyUses(ctx, keyUses(batch)); err != nil {
		return nil, err
	}
	return living, s.notifyLaunches(ctx, w.changed)
}

// keyUses gives the keys that launches say have called them.
func keyUses(batch []*beat) []postgres.KeyUse {
	var uses []postgres.KeyUse
	for _, b := range batch {
		for _, id := range b.KeysUsed {
			if uuid.Validate(id) == nil {
				uses = append(uses, postgres.KeyUse{KeyID: id, SatelliteID: b.pulse.SatelliteID, At: b.at})
			}
		}
	}
	return uses
}

// reportWrite is what a batch of heartbeats makes of the reports there were.
type reportWrite struct {
	first, later []postgres.Report
	history      []postgres.HistoryPoint
	moves        []statusMove
	changed      []launchRef
}

type launchRef struct{ launchID, satelliteID string }

type statusMove struct {
	launchRef
	from, to constellation.LaunchStatus
}

// hear makes the report of a launch what it is after a heartbeat.
func (w *reportWrite) hear(r *postgres.Report, b *beat) error {
	state, err := readLaunchState(r.State)
	if err != nil {
		return err
	}
	before := *r
	r.SystemVersion, r.RunningVersion = b.SystemVersion, b.SatelliteVersion
	r.LastSeenAt, r.IntervalSeconds = &b.at, int(b.next/time.Second)
	ended, lengths := state.hear(b.heartbeat, b.at)
	for i, point := range ended {
		stored, err := storedPoint(r.LaunchID, point, lengths[i])
		if err != nil {
			return err
		}
		w.history = append(w.history, stored)
	}
	r.Ready, r.Wanted = replicas(state.Algorithms)
	settle(r, state.Algorithms, b.at)
	data, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode launch state: %w", err)
	}
	r.State = string(data)
	if r.FirstSeenAt == nil {
		r.FirstSeenAt = &b.at
		w.first = append(w.first, *r)
	} else {
		w.later = append(w.later, *r)
	}
	ref := launchRef{r.LaunchID, r.SatelliteID}
	if r.Status != before.Status {
		w.moves = append(w.moves, statusMove{ref, before.Status, r.Status})
	}
	if r.Status != before.Status || r.StatusReason != before.StatusReason || r.RunningVersion != before.RunningVersion ||
		r.SystemVersion != before.SystemVersion || r.Ready != before.Ready || r.Wanted != before.Wanted {
		w.changed = append(w.changed, ref)
	}
	return nil
}

func storedPoint(launchID string, p *historyPoint, length time.Duration) (postgres.HistoryPoint, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return postgres.HistoryPoint{}, fmt.Errorf("encode history: %w", err)
	}
	i := slices.IndexFunc(constellation.HistoryResolutions, func(r constellation.HistoryResolution) bool { return r.Length == length })
	slots := int64(constellation.HistoryResolutions[i].Kept / length)
	number := p.At.Unix() / int64(length/time.Second)
	return postgres.HistoryPoint{
		LaunchID: launchID, Resolution: int(length / time.Second), Slot: int(((number % slots) + slots) % slots), At: p.At, Point: string(data),
	}, nil
}

// keepLiving drops what was for launches that were removed meanwhile.
func (w *reportWrite) keepLiving(living map[string]bool) {
	w.history = slices.DeleteFunc(w.history, func(p postgres.HistoryPoint) bool { return !living[p.LaunchID] })
	w.moves = slices.DeleteFunc(w.moves, func(m statusMove) bool { return !living[m.launchID] })
	w.changed = slices.DeleteFunc(w.changed, func(r launchRef) bool { return !living[r.launchID] })
}
