package space

import (
	"context"
	"errors"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// TouchBlob is called before somebody is told whether a blob is there: a garbage
// collection leaves it for a while. It waits for one that removes it.
func (l *Ledger) TouchBlob(ctx context.Context, digest string) error {
	return l.DB.TouchBlob(ctx, digest, l.TouchEvery)
}

// TouchManifest is TouchBlob for a manifest, by tag or digest.
func (l *Ledger) TouchManifest(ctx context.Context, repository, reference string) error {
	return l.DB.TouchManifest(ctx, repository, reference, nil, l.TouchEvery)
}

// KeepBlob is TouchBlob for a blob that is being pushed.
func (l *Ledger) KeepBlob(ctx context.Context, digest string) error {
	return l.DB.TouchBlob(ctx, digest, 0)
}

// PushedBlob is a blob that was stored in a repository, or mounted there.
type PushedBlob interface {
	// Find looks for it in the storage; KindNotFound if it is not there.
	Find(ctx context.Context) (constellation.StoredBlob, error)
	// Unlink takes it out of the repository.
	Unlink(ctx context.Context) error
}

// NoteBlob notes that a blob was stored in a repository. It is looked for again when
// nobody can remove it any more: KindConflict says that it was removed in between. One
// beyond the owner's quota is taken out of the repository again.
func (l *Ledger) NoteBlob(ctx context.Context, repository string, b PushedBlob) error {
	found, err := b.Find(ctx)
	if err != nil {
		return goneMeanwhile(err)
	}
	return l.transact(ctx, func(l *Ledger) error {
		if err := l.DB.UpsertBlob(ctx, found); err != nil {
			return err
		}
		if _, err := b.Find(ctx); err != nil {
			return goneMeanwhile(err)
		}
		err := l.link(ctx, repository, found.Digest)
		if constellation.KindOf(err) != constellation.KindForbidden {
			return err
		}
		// Until the storage was counted, it may be there for an older image.
		if at, scanErr := l.DB.LastScan(ctx); scanErr != nil || at == nil {
			return errors.Join(err, scanErr)
		}
		return errors.Join(err, b.Unlink(ctx))
	})
}

func goneMeanwhile(err error) error {
	if constellation.KindOf(err) != constellation.KindNotFound {
		return err
	}
	return constellation.Wrap(err, constellation.KindConflict, "this layer was removed just now as one that nothing used; push it again")
}

// link notes that a repository has a blob, within the quota of its owner.
func (l *Ledger) link(ctx context.Context, repository, digest string) error {
	added, err := l.DB.InsertLink(ctx, repository, digest)
	if err != nil || !added {
		return err
	}
	return l.checkQuota(ctx, repository)
}

// StoreManifest stores a manifest and notes it. store writes it, and may be called
// again. While it looks for what the manifest names, nobody removes any of it.
func (l *Ledger) StoreManifest(ctx context.Context, m constellation.StoredManifest, store func(context.Context) error) error {
	return l.transact(ctx, func(l *Ledger) error {
		if m.Tag != "" {
			if err := l.DB.Lock(ctx, TagLock(m.Repository, m.Tag)); err != nil {
				return err
			}
		}
		return l.StoreHeld(ctx, m, store)
	})
}

// TagLock names the lock of a tag, and so of the version under it.
func TagLock(repository, tag string) string { return "algorithm_version/" + repository + ":" + tag }

// StoreHeld is StoreManifest in a transaction that has the tag's lock.
func (l *Ledger) StoreHeld(ctx context.Context, m constellation.StoredManifest, store func(context.Context) error) error {
	if err := l.DB.HoldBlobs(ctx, m.Parts); err != nil {
		return err
	}
	// Before it is written, lest it be taken for one that nothing uses.
	if err := l.DB.UpsertBlob(ctx, constellation.StoredBlob{Digest: m.Digest, Size: m.Size}); err != nil {
		return err
	}
	// What it names and what belongs to it is needed from the commit on; a collection
	// that looked before sees this.
	if err := l.DB.TouchManifest(ctx, m.Repository, m.Digest, m.Parts, 0); err != nil {
		return err
	}
	// With a quota it is counted before it is written. Without, others need not wait
	// for the storage.
	owner, _, _ := strings.Cut(m.Repository, "/")
	room, err := l.DB.OwnerRoom(ctx, owner)
	if err != nil {
		return err
	}
	if room != nil {
		if err := l.link(ctx, m.Repository, m.Digest); err != nil {
			return err
		}
	}
	if err := store(ctx); err != nil {
		return err
	}
	if _, err := l.DB.InsertLink(ctx, m.Repository, m.Digest); err != nil {
		return err
	}
	if err := l.DB.UpsertManifest(ctx, m); err != nil || m.Tag == "" {
		return err
	}
	return l.DB.UpsertTag(ctx, m.Repository, constellation.StoredTag{Tag: m.Tag, Digest: m.Digest})
}
