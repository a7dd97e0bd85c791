package control

import (
	"context"
	"errors"
	"slices"
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
	// collectPage is how much is looked for at a time.
	collectPage = 1000
	// namedDepth is how often manifests are gone through that others name, which go
	// before them.
	namedDepth = 20
)

// Collect removes from the registry's storage what no version, launch or referrer
// needs, while everything else goes on. It may be killed at any moment and run again.
func (s *Service) Collect(ctx context.Context, p Principal, o CollectOptions) (*Collected, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "collecting garbage"); err != nil {
		return nil, err
	}
	if s.options.Store == nil {
		return nil, constellation.Errorf(constellation.KindUnavailable, "the registry's storage is not at hand here")
	}
	c := &collector{s: s, o: o, told: time.Now()}
	if o.DryRun {
		c.done.StartedAt, c.done.StartedBy = s.now(), p.Username
		return &c.done, c.run(ctx, p)
	}
	begun, err := s.beginCollection(ctx, p, o.Wait)
	if err != nil {
		return nil, err
	}
	c.done.Collection = *begun
	stop := c.heartbeat(ctx)
	err = c.run(ctx, p)
	stop()
	if err != nil {
		c.done.Error = "it failed; the log says why"
		if ctx.Err() != nil {
			c.done.Error = "it was stopped before it was done"
		}
	}
	now := s.now()
	c.done.FinishedAt = &now
	return &c.done, errors.Join(err, s.db.UpdateCollection(context.WithoutCancel(ctx), &c.done.Collection, true))
}

// beginCollection begins a garbage collection when none runs. Two at once would do no
// harm, and no good.
func (s *Service) beginCollection(ctx context.Context, p Principal, wait bool) (*constellation.Collection, error) {
	for {
		begun, ok, err := s.db.BeginCollection(ctx, p.Username, collectionPatience)
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

// CollectAsSet is Collect as the settings of the server say.
func (s *Service) CollectAsSet(ctx context.Context, p Principal) (*Collected, error) {
	return s.Collect(ctx, p, s.options.Collection)
}

// Collection returns what a garbage collection of this server leaves.
func (s *Service) Collection() CollectOptions { return s.options.Collection }

// StartCollection has a garbage collection done in the background; admins only.
func (s *Service) StartCollection(ctx context.Context, p Principal) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, "collecting garbage"); err != nil {
		return err
	}
	if s.options.StartCollection == nil {
		return constellation.Errorf(constellation.KindUnavailable, "nothing is done in the background here")
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.options.StartCollection(ctx, s.db, p.Username); err != nil {
			return err
		}
		return s.audit(ctx, p, "registry.collect_request", target{"registry", "registry", "registry"}, nil, nil)
	})
}

// collectAgain is how long after a garbage collection that failed the next one comes
// at the soonest.
const collectAgain = 30 * time.Minute

// CollectionDue reports whether a garbage collection is due by a schedule: since the
// last one, or since the storage was first counted.
func (s *Service) CollectionDue(ctx context.Context, schedule interface{ Next(time.Time) time.Time }) (bool, error) {
	last, err := s.db.Collections(ctx, collectionsShown)
	if err != nil {
		return false, err
	}
	counted, err := s.db.LastScan(ctx)
	if err != nil || counted == nil {
		return false, err
	}
	now, since := s.now(), *counted
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
	s      *Service
	o      CollectOptions
	since  postgres.Since
	system time.Time // the cutoff of system images
	done   Collected
	told   time.Time
}

func (c *collector) run(ctx context.Context, p Principal) error {
	if err := c.retire(ctx, p); err != nil {
		return err
	}
	if err := c.s.CountStorage(ctx); err != nil {
		return err
	}
	since, err := c.s.db.Ago(ctx, c.o.Grace, max(c.o.Grace, c.o.TagGrace))
	if err != nil {
		return err
	}
	c.since = *since
	system, err := c.s.db.Ago(ctx, max(c.o.Grace, systemGrace), 0)
	if err != nil {
		return err
	}
	c.system = system.Cutoff
	if c.done.Repositories, err = c.s.db.Garbage(ctx, c.since); err != nil {
		return err
	}
	for _, r := range c.done.Repositories {
		c.done.Expected += r.Bytes
	}
	c.tell(ctx, true)
	if c.done.Uploads, err = c.s.options.Store.RemoveUploads(ctx, time.Now().Add(-max(c.o.Grace, uploadGrace)), c.o.DryRun); err != nil || c.o.DryRun {
		return err
	}
	if err := c.manifests(ctx); err != nil {
		return err
	}
	if err := c.links(ctx); err != nil {
		return err
	}
	if err := c.blobs(ctx); err != nil || c.done.Blobs == 0 {
		return err
	}
	return c.s.transact(ctx, func(s *Service) error {
		return s.audit(ctx, p, "registry.collect", target{"registry", "registry", "registry"}, nil,
			collectedView{c.done.Manifests, c.done.Blobs, c.done.Bytes})
	})
}

type collectedView struct {
	Manifests int64 `json:"manifests"`
	Blobs     int64 `json:"blobs"`
	Bytes     int64 `json:"bytes"`
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
				if err := c.s.db.SeenCollection(ctx, id); err != nil && ctx.Err() == nil {
					c.s.options.Log.WarnContext(ctx, "note that a garbage collection runs", "error", err)
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
	if err := c.s.db.UpdateCollection(ctx, &c.done.Collection, false); err != nil && ctx.Err() == nil {
		c.s.options.Log.WarnContext(ctx, "note how far a garbage collection is", "error", err)
	}
}

// retire removes the versions that rules let go.
func (c *collector) retire(ctx context.Context, p Principal) error {
	versions, err := c.s.db.RetiredVersions(ctx, c.s.now(), 100*collectPage)
	if err != nil {
		return err
	}
	c.done.Retired = len(versions)
	if c.o.DryRun {
		return nil
	}
	for _, v := range versions {
		ref := constellation.AlgorithmRef{Owner: v.Owner, Name: v.Name, Hash: v.GitHash}
		err := c.s.DeleteAlgorithmVersion(ctx, p, ref, nil)
		if kind := constellation.KindOf(err); kind == constellation.KindNotFound || kind == constellation.KindConflict {
			continue // somebody removed it, or uses it now
		}
		if err != nil {
			return err
		}
		c.tell(ctx, false)
	}
	return nil
}

// manifests removes the manifests that nothing needs, those first that name others.
func (c *collector) manifests(ctx context.Context) error {
	left, err := c.s.db.UnneededManifests(ctx, c.since)
	if err != nil {
		return err
	}
	for range namedDepth {
		var named []postgres.Unneeded
		for _, m := range left {
			cutoff := c.since.Cutoff
			if m.Repository == systemRepository {
				cutoff = c.system
			}
			removed, again, err := c.s.collectManifest(ctx, m, cutoff)
			if err != nil {
				return err
			}
			if again {
				named = append(named, m)
			}
			if removed {
				c.done.Manifests++
				c.tell(ctx, false)
			}
		}
		if len(named) == 0 || len(named) == len(left) {
			return nil
		}
		left = named
	}
	return nil
}

// collectManifest removes a manifest that nothing was found to need, unless that has
// changed since. again is true for one that another names.
func (s *Service) collectManifest(ctx context.Context, m postgres.Unneeded, cutoff time.Time) (removed, again bool, err error) {
	tags, err := s.db.TagsOf(ctx, m.Repository, m.Digest)
	if err != nil {
		return false, false, err
	}
	err = s.transact(ctx, func(s *Service) error {
		removed, again = false, false
		for _, tag := range tags { // before the blob, as a push does
			if err := s.db.Lock(ctx, tagLock(m.Repository, tag)); err != nil {
				return err
			}
		}
		if seized, err := s.db.SeizeBlob(ctx, m.Digest, cutoff); err != nil || !seized {
			return err
		}
		if again, err = s.db.ManifestNamed(ctx, m.Repository, m.Digest); err != nil || again {
			return err
		}
		now, err := s.db.TagsOf(ctx, m.Repository, m.Digest)
		if err != nil || !slices.Equal(now, tags) {
			return err // the next collection has them
		}
		stored := constellation.StoredManifest{Repository: m.Repository, Digest: m.Digest}
		if stored.Subject, err = s.db.ManifestSubject(ctx, m.Repository, m.Digest); err != nil {
			return err
		}
		if err := s.options.Store.RemoveManifest(ctx, stored, tags); err != nil {
			return err
		}
		for _, tag := range tags {
			if err := s.db.DeleteTag(ctx, m.Repository, tag); err != nil {
				return err
			}
		}
		removed = true
		return s.db.DeleteManifest(ctx, m.Repository, m.Digest)
	})
	return removed, again, err
}

// links removes from repositories the blobs that no manifest there names.
func (c *collector) links(ctx context.Context) error {
	var after postgres.Unneeded
	for {
		page, err := c.s.db.UnneededLinks(ctx, c.since, after, collectPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
		for len(page) > 0 {
			n := 1 // of one repository, whose sums are counted under one lock
			for n < len(page) && n < collectBatch && page[n].Repository == page[0].Repository {
				n++
			}
			if err := c.s.collectLinks(ctx, page[:n], c.since.Cutoff); err != nil {
				return err
			}
			page = page[n:]
			c.tell(ctx, false)
		}
	}
}

func (s *Service) collectLinks(ctx context.Context, links []postgres.Unneeded, cutoff time.Time) error {
	return s.transact(ctx, func(s *Service) error {
		for _, l := range links {
			if seized, err := s.db.SeizeBlob(ctx, l.Digest, cutoff); err != nil {
				return err
			} else if !seized {
				continue
			}
			if named, err := s.db.LinkNamed(ctx, l.Repository, l.Digest); err != nil {
				return err
			} else if named {
				continue
			}
			if err := s.options.Store.RemoveLink(ctx, l.Repository, l.Digest); err != nil {
				return err
			}
			if err := s.db.DeleteLink(ctx, l.Repository, l.Digest); err != nil {
				return err
			}
		}
		return nil
	})
}

// blobs removes the blobs that no repository has.
func (c *collector) blobs(ctx context.Context) error {
	after := ""
	for {
		page, err := c.s.db.UnneededBlobs(ctx, c.since, after, collectPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Digest
		for batch := range slices.Chunk(page, collectBatch) {
			removed, err := c.s.collectBlobs(ctx, batch, c.since.Cutoff)
			if err != nil {
				return err
			}
			c.done.Blobs += removed.Blobs
			c.done.Bytes += removed.Bytes
			c.tell(ctx, false)
		}
	}
}

func (s *Service) collectBlobs(ctx context.Context, blobs []constellation.StoredBlob, cutoff time.Time) (removed constellation.SpaceUse, err error) {
	err = s.transact(ctx, func(s *Service) error {
		removed = constellation.SpaceUse{}
		for _, b := range blobs {
			if seized, err := s.db.SeizeBlob(ctx, b.Digest, cutoff); err != nil {
				return err
			} else if !seized {
				continue
			}
			if linked, err := s.db.Linked(ctx, b.Digest); err != nil {
				return err
			} else if linked {
				continue
			}
			if err := s.options.Store.RemoveBlob(ctx, b.Digest); err != nil {
				return err
			}
			if err := s.db.DeleteBlob(ctx, b.Digest); err != nil {
				return err
			}
			removed.Blobs++
			removed.Bytes += b.Size
		}
		return nil
	})
	return removed, err
}
