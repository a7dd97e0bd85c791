package space

import (
	"context"
	"errors"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// What a garbage collection leaves for, unless it is told otherwise.
const (
	// DefaultGrace is how long what nothing needs stays after somebody last asked for
	// it: longer than any push takes.
	DefaultGrace = 24 * time.Hour
	// DefaultTagGrace is DefaultGrace of what is under a tag that is no version.
	DefaultTagGrace = 30 * 24 * time.Hour
)

// CollectOptions say what a garbage collection removes.
type CollectOptions struct {
	Grace    time.Duration
	TagGrace time.Duration
	DryRun   bool
	Wait     bool            // for the one that runs, rather than be refused
	Progress func(Collected) // is told how far it is; nil for nobody
}

// Collected is what a garbage collection removed, or would.
type Collected struct {
	constellation.Collection
	Repositories []constellation.SpaceUse // what goes from each; bytes that others need do not count
	Expected     int64                    // how many bytes that was found to be
	Retired      int                      // versions that rules let go
	Uploads      constellation.SpaceUse   // that were left
}

const (
	// collectionPatience is how long a garbage collection that says nothing is taken
	// to run.
	collectionPatience = 5 * time.Second
	// uploadGrace is the least time that an upload stays to which nothing is written.
	uploadGrace = 10 * time.Minute
	// systemGrace is the least time that a system image stays after a server that runs
	// said that it needs it, which it does every ten minutes.
	systemGrace = time.Hour
	// collectBatch is how much is removed under one lock.
	collectBatch = 20
	// CollectionsShown is how many garbage collections are looked back on.
	CollectionsShown = 10
	// collectPage is how much is looked for at a time.
	collectPage = 1000
	// namedDepth is how often manifests are gone through that others name, which go
	// before them.
	namedDepth = 20
)

// Caller is on whose behalf a garbage collection is made, and what of it is the
// caller's to do.
type Caller struct {
	Name string
	// Retire removes an algorithm version; what somebody uses now is KindConflict.
	Retire func(context.Context, constellation.AlgorithmRef) error
	// Done notes that something was removed.
	Done func(context.Context, *Collected) error
}

// Collect removes from the registry's storage what no version, launch or referrer
// needs, while everything else goes on. It may be killed at any moment and run again.
func (l *Ledger) Collect(ctx context.Context, by Caller, o CollectOptions) (*Collected, error) {
	if l.Store == nil {
		return nil, constellation.Errorf(constellation.KindUnavailable, "the registry's storage is not at hand here")
	}
	c := &collector{l: l, o: o, by: by, told: time.Now()}
	if o.DryRun {
		c.done.StartedAt, c.done.StartedBy = l.now(), by.Name
		return &c.done, c.run(ctx)
	}
	begun, err := l.beginCollection(ctx, by.Name, o.Wait)
	if err != nil {
		return nil, err
	}
	c.done.Collection = *begun
	stop := c.heartbeat(ctx)
	err = c.run(ctx)
	stop()
	if err != nil {
		c.done.Error = "it failed; the log says why"
		if ctx.Err() != nil {
			c.done.Error = "it was stopped before it was done"
		}
	}
	now := l.now()
	c.done.FinishedAt = &now
	return &c.done, errors.Join(err, l.DB.UpdateCollection(context.WithoutCancel(ctx), &c.done.Collection, true))
}

// beginCollection begins a garbage collection when none runs. Two at once would do no
// harm, and no good.
func (l *Ledger) beginCollection(ctx context.Context, by string, wait bool) (*constellation.Collection, error) {
	for {
		begun, ok, err := l.DB.BeginCollection(ctx, by, collectionPatience)
		if err != nil || ok {
			return begun, err
		}
		if !wait {
			return nil, constellation.Errorf(constellation.KindConflict, "a garbage collection runs already, since %s; wait for its end", begun.StartedAt.Format(time.RFC3339))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(collectionPatience / 5):
		}
	}
}

// collectAgain is how long after a garbage collection that failed the next one comes
// at the soonest.
const collectAgain = 30 * time.Minute

// CollectionDue reports whether a garbage collection is due by a schedule: since the
// last one, or since the storage was first counted.
func (l *Ledger) CollectionDue(ctx context.Context, schedule interface{ Next(time.Time) time.Time }) (bool, error) {
	last, err := l.DB.Collections(ctx, CollectionsShown)
	if err != nil {
		return false, err
	}
	counted, err := l.DB.LastScan(ctx)
	if err != nil || counted == nil {
		return false, err
	}
	now, since := l.now(), *counted
	for i, c := range last {
		if i == 0 && (c.FinishedAt == nil || c.Error != "") && now.Sub(c.StartedAt) < collectAgain {
			return false, nil
		}
		if c.Error == "" && c.FinishedAt != nil {
			since = c.StartedAt
			break
		}
	}
	next := schedule.Next(since)
	return !next.IsZero() && !next.After(now), nil
}

// collector is one garbage collection.
type collector struct {
	l      *Ledger
	by     Caller
	o      CollectOptions
	since  postgres.Since
	system time.Time // the cutoff of system images
	done   Collected
	told   time.Time
}

func (c *collector) run(ctx context.Context) error {
	if err := c.retire(ctx); err != nil {
		return err
	}
	if err := c.l.CountStorage(ctx); err != nil {
		return err
	}
	since, err := c.l.DB.Ago(ctx, c.o.Grace, max(c.o.Grace, c.o.TagGrace))
	if err != nil {
		return err
	}
	c.since = *since
	system, err := c.l.DB.Ago(ctx, max(c.o.Grace, systemGrace), 0)
	if err != nil {
		return err
	}
	c.system = system.Cutoff
	if c.done.Repositories, err = c.l.DB.Garbage(ctx, c.since); err != nil {
		return err
	}
	for _, r := range c.done.Repositories {
		c.done.Expected += r.Bytes
	}
	c.tell(ctx, true)
	if c.done.Uploads, err = c.l.Store.RemoveUploads(ctx, time.Now().Add(-max(c.o.Grace, uploadGrace)), c.o.DryRun); err != nil || c.o.DryRun {
		return err
	}
	if err := c.manifests(ctx); err != nil {
		return err
	}
	if err := c.links(ctx); err != nil {
		return err
	}
	if err := c.blobs(ctx); err != nil {
		return err
	}
	if err := c.l.findGarbage(ctx, c.o); err != nil { // what is left
		return err
	}
	if err := c.l.DB.LowerQuotasTold(ctx, constellation.QuotaLevels); err != nil || c.done.Blobs == 0 {
		return err
	}
	return c.by.Done(ctx, &c.done)
}

// heartbeat says that the collection runs while it counts, until it is stopped.
func (c *collector) heartbeat(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	id, ended := c.done.ID, make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(collectionPatience / 5)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := c.l.DB.SeenCollection(ctx, id); err != nil && ctx.Err() == nil {
					c.l.Log.WarnContext(ctx, "note that a garbage collection runs", "error", err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// tell says how far it is, once a second or now.
func (c *collector) tell(ctx context.Context, now bool) {
	if !now && time.Since(c.told) < time.Second {
		return
	}
	c.told = time.Now()
	if c.o.Progress != nil {
		c.o.Progress(c.done)
	}
	if c.o.DryRun {
		return
	}
	if err := c.l.DB.UpdateCollection(ctx, &c.done.Collection, false); err != nil && ctx.Err() == nil {
		c.l.Log.WarnContext(ctx, "note how far a garbage collection is", "error", err)
	}
}

// uploadAge is how long an upload stays to which nothing is written, where no garbage
// collection is made.
const uploadAge = 7 * 24 * time.Hour

// RemoveLeftUploads removes the uploads to which nothing was written for a week. A
// garbage collection does so after its grace.
func (l *Ledger) RemoveLeftUploads(ctx context.Context) (constellation.SpaceUse, error) {
	return l.Store.RemoveUploads(ctx, time.Now().Add(-uploadAge), false)
}
