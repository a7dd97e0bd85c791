package space

import (
	"context"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// retire removes the versions that rules let go.
func (c *collector) retire(ctx context.Context) error {
	versions, err := c.l.DB.RetiredVersions(ctx, c.l.now(), 100*collectPage)
	if err != nil {
		return err
	}
	c.done.Retired = len(versions)
	if c.o.DryRun {
		return nil
	}
	for _, v := range versions {
		ref := constellation.AlgorithmRef{Owner: v.Owner, Name: v.Name, Hash: v.GitHash}
		err := c.by.Retire(ctx, ref)
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
	left, err := c.l.DB.UnneededManifests(ctx, c.since)
	if err != nil {
		return err
	}
	for range namedDepth {
		var named []postgres.Unneeded
		for _, m := range left {
			cutoff := c.since.Cutoff
			if m.Repository == constellation.SystemRepository {
				cutoff = c.system
			}
			removed, again, err := c.l.collectManifest(ctx, m, cutoff)
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
func (l *Ledger) collectManifest(ctx context.Context, m postgres.Unneeded, cutoff time.Time) (removed, again bool, err error) {
	tags, err := l.DB.TagsOf(ctx, m.Repository, m.Digest)
	if err != nil {
		return false, false, err
	}
	err = l.transact(ctx, func(l *Ledger) error {
		removed, again = false, false
		for _, tag := range tags { // before the blob, as a push does
			if err := l.DB.Lock(ctx, TagLock(m.Repository, tag)); err != nil {
				return err
			}
		}
		if seized, err := l.DB.SeizeBlob(ctx, m.Digest, cutoff); err != nil || !seized {
			return err
		}
		if again, err = l.DB.ManifestNamed(ctx, m.Repository, m.Digest); err != nil || again {
			return err
		}
		now, err := l.DB.TagsOf(ctx, m.Repository, m.Digest)
		if err != nil || !slices.Equal(now, tags) {
			return err // the next collection has them
		}
		stored := constellation.StoredManifest{Repository: m.Repository, Digest: m.Digest}
		if stored.Subject, err = l.DB.ManifestSubject(ctx, m.Repository, m.Digest); err != nil {
			return err
		}
		if err := l.Store.RemoveManifest(ctx, stored, tags); err != nil {
			return err
		}
		for _, tag := range tags {
			if err := l.DB.DeleteTag(ctx, m.Repository, tag); err != nil {
				return err
			}
		}
		removed = true
		return l.DB.DeleteManifest(ctx, m.Repository, m.Digest)
	})
	return removed, again, err
}

// links removes from repositories the blobs that no manifest there names.
func (c *collector) links(ctx context.Context) error {
	var after postgres.Unneeded
	for {
		page, err := c.l.DB.UnneededLinks(ctx, c.since, after, collectPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
		for len(page) > 0 {
			n := 1 // of one repository, whose sums are counted under one lock
			for n < len(page) && n < collectBatch && page[n].Repository == page[0].Repository {
				n++
			}
			if err := c.l.collectLinks(ctx, page[:n], c.since.Cutoff); err != nil {
				return err
			}
			page = page[n:]
			c.tell(ctx, false)
		}
	}
}

func (l *Ledger) collectLinks(ctx context.Context, links []postgres.Unneeded, cutoff time.Time) error {
	return l.transact(ctx, func(l *Ledger) error {
		for _, link := range links {
			if seized, err := l.DB.SeizeBlob(ctx, link.Digest, cutoff); err != nil {
				return err
			} else if !seized {
				continue
			}
			if named, err := l.DB.LinkNamed(ctx, link.Repository, link.Digest); err != nil {
				return err
			} else if named {
				continue
			}
			if err := l.Store.RemoveLink(ctx, link.Repository, link.Digest); err != nil {
				return err
			}
			if err := l.DB.DeleteLink(ctx, link.Repository, link.Digest); err != nil {
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
		page, err := c.l.DB.UnneededBlobs(ctx, c.since, after, collectPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].Digest
		for batch := range slices.Chunk(page, collectBatch) {
			removed, err := c.l.collectBlobs(ctx, batch, c.since.Cutoff)
			if err != nil {
				return err
			}
			c.done.Blobs += removed.Blobs
			c.done.Bytes += removed.Bytes
			c.tell(ctx, false)
		}
	}
}

func (l *Ledger) collectBlobs(ctx context.Context, blobs []constellation.StoredBlob, cutoff time.Time) (removed constellation.SpaceUse, err error) {
	err = l.transact(ctx, func(l *Ledger) error {
		removed = constellation.SpaceUse{}
		for _, b := range blobs {
			if seized, err := l.DB.SeizeBlob(ctx, b.Digest, cutoff); err != nil {
				return err
			} else if !seized {
				continue
			}
			if linked, err := l.DB.Linked(ctx, b.Digest); err != nil {
				return err
			} else if linked {
				continue
			}
			if err := l.Store.RemoveBlob(ctx, b.Digest); err != nil {
				return err
			}
			if err := l.DB.DeleteBlob(ctx, b.Digest); err != nil {
				return err
			}
			removed.Blobs++
			removed.Bytes += b.Size
		}
		return nil
	})
	return removed, err
}
