package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How heartbeats are stored: in transactions of at most batchSize launches, each
// writePeriod; sooner, after a linger in which others may join, when somebody waits
// for a first one. Satellites are in reportShards, of which each has one writer at a
// time, whichever server's: writers of two never want the same row.
const (
	writePeriod   = time.Second
	linger        = 10 * time.Millisecond
	batchSize     = 1000
	sweepPeriod   = 5 * time.Second
	cacheLifetime = 15 * time.Minute // how long a launch that went silent is remembered
	reportShards  = 2
	reportsLock   = "launch reports" // shared by writers of a shard; whole, no shard is written
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
	h := s.memory.heartbeats
	h.watching.Store(s.now().UnixMicro())
	h.run(true)
	var both sync.WaitGroup
	both.Go(func() { s.listen(ctx) })
	both.Go(func() { s.write(ctx) })
	both.Go(func() { s.keepAudit(ctx) })
	both.Wait()
}

func (h *heartbeats) run(running bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = running
}

// write stores what is queued, and finds who went silent.
func (s *Service) write(ctx context.Context) {
	h := s.memory.heartbeats
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
			h.evictIdle(s.now().Add(-cacheLifetime))
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

// clockJumped reports whether the clock went on otherwise than time passed: then
// a silence that it shows was none.
func clockJumped(shown, passed time.Duration) bool { return (shown - passed).Abs() > clockSlack }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// slow stretches the interval when writing takes most of the time.
func (h *heartbeats) slow(busy float64) {
	now := h.slowdown.Load()
	switch {
	case busy > busyToSlow && now < maxSlowdown:
		h.slowdown.Store(now * 2)
	case busy < busyToSlow/4 && now > 1:
		h.slowdown.Store(now / 2)
	}
}

func (h *heartbeats) evictIdle(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, p := range h.launches {
		if p.used.Load() < since.Unix() {
			delete(h.launches, id)
		}
	}
}

// watchingSince is since when this server would have heard a launch; silence
// before says nothing.
func (s *Service) watchingSince() time.Time {
	at := s.memory.heartbeats.watching.Load()
	if at == 0 {
		return s.now()
	}
	return time.UnixMicro(at).UTC()
}

// flush stores what is queued. It fails when the database is away: then what was
// not stored is queued again.
func (s *Service) flush(ctx context.Context) error {
	var shards errgroup.Group
	for shard := range reportShards {
		shards.Go(func() error { return s.flushShard(ctx, shard) })
	}
	return shards.Wait()
}

// flushShard stores in turns what somebody waits for, who may come meanwhile, and
// the rest.
func (s *Service) flushShard(ctx context.Context, shard int) error {
	h := s.memory.heartbeats
	waited, rest := h.drain(shard, true), h.drain(shard, false)
	for len(waited)+len(rest) > 0 {
		for _, list := range []*[]*queuedHeartbeat{&waited, &rest} {
			batch := (*list)[:min(batchSize, len(*list))]
			*list = (*list)[len(batch):]
			if err := s.store(ctx, batch); err != nil { // the others would fail the same way
				s.later(slices.Concat(waited, rest), err)
				return err
			}
		}
		if len(waited) == 0 && len(rest) > 0 {
			waited = h.drain(shard, true)
		}
	}
	return nil
}

// shardOf is the shard of a satellite's reports.
func shardOf(satelliteID string) int { return int(satelliteID[len(satelliteID)-1]) % reportShards }

// store stores a batch of one shard and answers those who wait. A heartbeat that cannot be stored
// for what it holds is found by halves, dropped, and told: to the log, and to
// its launch, whose next heartbeat is answered once it is stored.
func (s *Service) store(ctx context.Context, batch []*queuedHeartbeat) error {
	if len(batch) == 0 {
		return nil
	}
	var living map[string]bool
	err := s.transact(ctx, func(s *Service) (err error) {
		living, err = s.storeReports(ctx, batch)
		return err
	})
	switch {
	case err == nil:
		s.memory.heartbeats.clearRefused(batch)
		for _, b := range batch {
			b.acknowledge(living, nil)
		}
		return nil
	case constellation.KindOf(err) == constellation.KindUnavailable || ctx.Err() != nil:
		s.later(batch, err)
		return err
	case len(batch) > 1:
		half := len(batch) / 2
		if err := s.store(ctx, batch[:half]); err != nil {
			s.later(batch[half:], err)
			return err
		}
		return s.store(ctx, batch[half:])
	}
	b := batch[0]
	s.options.Log.ErrorContext(ctx, "a heartbeat cannot be stored and is dropped", "launch_id", b.launch.LaunchID, "error", err)
	s.memory.heartbeats.markRefused(b.launch.LaunchID)
	b.acknowledge(nil, err)
	return nil
}

// later queues again what could not be stored because of err.
func (s *Service) later(batch []*queuedHeartbeat, err error) {
	for _, b := range batch {
		b.acknowledge(nil, err)
	}
	s.memory.heartbeats.requeue(batch)
}

func (b *queuedHeartbeat) acknowledge(living map[string]bool, err error) {
	id := b.launch.LaunchID
	switch {
	case err != nil:
	case !living[id]:
		err = constellation.Errorf(constellation.KindNotFound, "launch %s was removed", id)
	default:
		b.launch.stored.Store(true)
	}
	if b.stored != nil {
		b.stored.err = err
		close(b.stored.done)
		b.stored = nil
	}
}

// storeReports is store's transaction; it returns the launches that still are.
func (s *Service) storeReports(ctx context.Context, batch []*queuedHeartbeat) (map[string]bool, error) {
	if err := s.lockShard(ctx, shardOf(batch[0].launch.SatelliteID)); err != nil {
		return nil, err
	}
	ids, beats := make([]string, len(batch)), make(map[string]*queuedHeartbeat, len(batch))
	for i, b := range batch {
		ids[i], beats[b.launch.LaunchID] = b.launch.LaunchID, b
	}
	rows, err := s.db.Reports(ctx, ids)
	if err != nil {
		return nil, err
	}
	var w reportWrite
	for i := range rows {
		if err := w.record(&rows[i], beats[rows[i].LaunchID]); err != nil {
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
	if err := s.tell(ctx, w.moves); err != nil {
		return nil, err
	}
	if err := s.db.NoteKeyUses(ctx, keyUses(batch)); err != nil {
		return nil, err
	}
	if err := s.endCommands(ctx, batch); err != nil {
		return nil, err
	}
	return living, s.notifyLaunches(ctx, w.changed)
}

// lockShard keeps others from a shard's reports until the end of the transaction.
func (s *Service) lockShard(ctx context.Context, shard int) error {
	if err := s.db.LockShared(ctx, reportsLock); err != nil {
		return err
	}
	return s.db.Lock(ctx, reportsLock+" "+strconv.Itoa(shard))
}

// endCommands keeps what launches say became of commands, which are told no
// more from then on, whichever server is asked.
func (s *Service) endCommands(ctx context.Context, batch []*queuedHeartbeat) error {
	var ends []postgres.EndedCommand
	satellites := map[string]string{}
	for _, b := range batch {
		for _, end := range b.CommandsDone {
			if id, err := uuid.Parse(end.ID); err == nil {
				end.ID = id.String()
				ends = append(ends, postgres.EndedCommand{LaunchID: b.launch.LaunchID, CommandEnd: end})
				satellites[b.launch.LaunchID] = b.launch.SatelliteID
			}
		}
	}
	launches, err := s.db.EndCommands(ctx, ends, s.now())
	if err != nil {
		return err
	}
	slices.Sort(launches)
	for _, id := range slices.Compact(launches) {
		if err := s.notify(ctx, notification{Kind: "launch", ID: id, SatelliteID: satellites[id]}); err != nil {
			return err
		}
	}
	return nil
}

// keyUses returns the keys that launches say have called them.
func keyUses(batch []*queuedHeartbeat) []postgres.KeyUse {
	var uses []postgres.KeyUse
	for _, b := range batch {
		for _, id := range b.KeysUsed {
			if id, err := uuid.Parse(id); err == nil { // it reads forms that PostgreSQL does not
				uses = append(uses, postgres.KeyUse{KeyID: id.String(), SatelliteID: b.launch.SatelliteID, At: b.at})
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

// record makes the report of a launch what it is after a heartbeat.
func (w *reportWrite) record(r *postgres.Report, b *queuedHeartbeat) error {
	state, err := readLaunchState(r.State)
	if err != nil {
		return err
	}
	before := *r
	at := b.at
	if r.LastSeenAt != nil && at.Before(*r.LastSeenAt) { // another server has stored a later one
		at = *r.LastSeenAt
	}
	fresh, ended, lengths := state.record(b.heartbeat, at)
	if fresh {
		r.SystemVersion, r.RunningVersion = b.SystemVersion, b.SatelliteVersion
	}
	r.LastSeenAt, r.IntervalSeconds = &at, int(b.next/time.Second)
	for i, point := range ended {
		stored, err := storedPoint(r.LaunchID, point, lengths[i])
		if err != nil {
			return err
		}
		w.history = append(w.history, stored)
	}
	r.Ready, r.Wanted = replicas(state.Algorithms)
	settle(r, constellation.Health(state.Algorithms, state.Work.Queue), at)
	if r.State, err = state.text(); err != nil {
		return err
	}
	if r.FirstSeenAt == nil {
		r.FirstSeenAt = &at
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
