package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// touchEvery is how often a blob is noted as touched that is asked for again and
// again. It is much shorter than any grace, so that what was told to be there stays.
const touchEvery = time.Minute

// TouchBlob is called before somebody is told whether a blob is there: a garbage
// collection leaves it for a while. It waits for one that removes it.
func (s *Service) TouchBlob(ctx context.Context, digest string) error {
	return s.db.TouchBlob(ctx, digest, s.options.TouchEvery)
}

// TouchManifest is TouchBlob for a manifest, by tag or digest.
func (s *Service) TouchManifest(ctx context.Context, repository, reference string) error {
	return s.db.TouchManifest(ctx, repository, reference, nil, s.options.TouchEvery)
}

// KeepBlob is TouchBlob for a blob that is being pushed.
func (s *Service) KeepBlob(ctx context.Context, digest string) error {
	return s.db.TouchBlob(ctx, digest, 0)
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
func (s *Service) NoteBlob(ctx context.Context, repository string, b PushedBlob) error {
	found, err := b.Find(ctx)
	if err != nil {
		return goneMeanwhile(err)
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.UpsertBlob(ctx, found); err != nil {
			return err
		}
		if _, err := b.Find(ctx); err != nil {
			return goneMeanwhile(err)
		}
		err := s.link(ctx, repository, found.Digest)
		if constellation.KindOf(err) != constellation.KindForbidden {
			return err
		}
		// Until the storage was counted, it may be there for an older image.
		if at, scanErr := s.db.LastScan(ctx); scanErr != nil || at == nil {
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
func (s *Service) link(ctx context.Context, repository, digest string) error {
	added, err := s.db.InsertLink(ctx, repository, digest)
	if err != nil || !added {
		return err
	}
	return s.checkQuota(ctx, repository, 0)
}

// StoreManifest stores a manifest and notes it. store writes it, and may be called
// again. While it looks for what the manifest names, nobody removes any of it.
func (s *Service) StoreManifest(ctx context.Context, m constellation.StoredManifest, store func(context.Context) error) error {
	return s.transact(ctx, func(s *Service) error {
		if m.Tag != "" {
			if err := s.db.Lock(ctx, tagLock(m.Repository, m.Tag)); err != nil {
				return err
			}
		}
		return s.storeManifest(ctx, m, store)
	})
}

// tagLock names the lock of a tag, and so of the version under it.
func tagLock(repository, tag string) string { return "algorithm_version/" + repository + ":" + tag }

// storeManifest is StoreManifest in a transaction that has the tag's lock.
func (s *Service) storeManifest(ctx context.Context, m constellation.StoredManifest, store func(context.Context) error) error {
	if err := s.db.HoldBlobs(ctx, m.Parts); err != nil {
		return err
	}
	// Before it is written, lest it be taken for one that nothing uses.
	if err := s.db.UpsertBlob(ctx, constellation.StoredBlob{Digest: m.Digest, Size: m.Size}); err != nil {
		return err
	}
	// What it names and what belongs to it is needed from the commit on; a collection
	// that looked before sees this.
	if err := s.db.TouchManifest(ctx, m.Repository, m.Digest, m.Parts, 0); err != nil {
		return err
	}
	// With a quota it is counted before it is written. Without, others need not wait
	// for the storage.
	owner, _, _ := strings.Cut(m.Repository, "/")
	room, err := s.db.OwnerRoom(ctx, owner)
	if err != nil {
		return err
	}
	if room != nil {
		if err := s.link(ctx, m.Repository, m.Digest); err != nil {
			return err
		}
	}
	if err := store(ctx); err != nil {
		return err
	}
	if _, err := s.db.InsertLink(ctx, m.Repository, m.Digest); err != nil {
		return err
	}
	if err := s.db.UpsertManifest(ctx, m); err != nil || m.Tag == "" {
		return err
	}
	return s.db.UpsertTag(ctx, m.Repository, constellation.StoredTag{Tag: m.Tag, Digest: m.Digest})
}
