package space

import (
	"context"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Store is the registry's storage, as garbage collection uses it.
type Store interface {
	MarkedStore
	Inventory
	Remover
}

// Inventory says what is stored.
type Inventory interface {
	// EachRepository calls f with what one repository after the other has.
	EachRepository(ctx context.Context, f func(constellation.StoredRepository) error) error
	// EachPrefix calls f with the blobs of one prefix of digests after the other; all
	// those of the prefix, and every prefix there can be.
	EachPrefix(ctx context.Context, f func(from, to string, blobs []constellation.StoredBlob) error) error
	// StoredBlob looks for a blob, of a repository if one is given; KindNotFound if it
	// is not there.
	StoredBlob(ctx context.Context, repository, digest string) (constellation.StoredBlob, error)
	// StoredManifest reads a manifest; KindNotFound if it is not there.
	StoredManifest(ctx context.Context, repository, digest string) (*constellation.StoredManifest, error)
}

// Remover removes what is stored. What is not there any more is no error.
type Remover interface {
	RemoveBlob(ctx context.Context, digest string) error
	RemoveLink(ctx context.Context, repository, digest string) error
	// RemoveManifest removes a manifest from its repository, with those tags that
	// point at it, and what is noted of it beside its subject.
	RemoveManifest(ctx context.Context, m constellation.StoredManifest, tags []string) error
	// RemoveUploads removes uploads that were left, since nothing was written to them
	// after a moment, and says what they take; with dryRun it only says.
	RemoveUploads(ctx context.Context, before time.Time, dryRun bool) (constellation.SpaceUse, error)
}

// CountStorage notes what the registry's storage holds and the database does not
// know, as after an upgrade or a crash, and forgets what the storage lost and nothing
// needs. What a version needs stays noted, and OnLost is told.
func (l *Ledger) CountStorage(ctx context.Context) error {
	store := l.Store
	if err := ClaimStore(ctx, l.DB, store); err != nil { // lest all of another's be taken for lost
		return err
	}
	err := store.EachPrefix(ctx, func(from, to string, blobs []constellation.StoredBlob) error {
		return l.countBlobs(ctx, from, to, blobs)
	})
	if err != nil {
		return fmt.Errorf("count blobs: %w", err)
	}
	known, err := l.DB.Repositories(ctx)
	if err != nil {
		return err
	}
	lost := make(map[string]bool, len(known))
	for _, name := range known {
		lost[name] = true
	}
	err = store.EachRepository(ctx, func(r constellation.StoredRepository) error {
		delete(lost, r.Name)
		return l.countRepository(ctx, r)
	})
	if err != nil {
		return fmt.Errorf("count repositories: %w", err)
	}
	for name := range lost {
		if err := l.countRepository(ctx, constellation.StoredRepository{Name: name}); err != nil {
			return err
		}
	}
	return l.DB.NoteScan(ctx)
}

// CountStorageOnce is CountStorage where it was never done, as after an upgrade.
func (l *Ledger) CountStorageOnce(ctx context.Context) error {
	at, err := l.DB.LastScan(ctx)
	if err != nil || at != nil {
		return err
	}
	return l.CountStorage(ctx)
}

func (l *Ledger) countBlobs(ctx context.Context, from, to string, blobs []constellation.StoredBlob) error {
	noted, err := l.DB.BlobsFrom(ctx, from, to)
	if err != nil {
		return err
	}
	missing := make(map[string]bool, len(noted))
	for _, b := range noted {
		missing[b.Digest] = true
	}
	for _, b := range blobs {
		if missing[b.Digest] {
			delete(missing, b.Digest)
			continue
		}
		if err := l.noteFound(ctx, b); err != nil {
			return err
		}
	}
	for digest := range missing {
		if err := l.forgetBlob(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}

// noteFound notes a blob that the storage has. It looks again when it holds it, lest
// it note one that was removed in between.
func (l *Ledger) noteFound(ctx context.Context, b constellation.StoredBlob) error {
	return l.transact(ctx, func(l *Ledger) error {
		if err := l.DB.UpsertBlob(ctx, b); err != nil {
			return err
		}
		_, err := l.Store.StoredBlob(ctx, "", b.Digest)
		if constellation.KindOf(err) == constellation.KindNotFound {
			return l.DB.DeleteBlob(ctx, b.Digest)
		}
		return err
	})
}

// farFuture is after any touch.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// forgetBlob forgets a blob that the storage lost, in every repository that does not
// need it.
func (l *Ledger) forgetBlob(ctx context.Context, digest string) error {
	links, err := l.DB.LinksOf(ctx, digest)
	if err != nil {
		return err
	}
	for _, repository := range links {
		if err := l.forgetLink(ctx, repository, digest); err != nil {
			return err
		}
	}
	return l.transact(ctx, func(l *Ledger) error {
		if gone, err := l.seizeLost(ctx, "", digest); err != nil || !gone {
			return err
		}
		if linked, err := l.DB.Linked(ctx, digest); err != nil || linked {
			return err
		}
		return l.DB.DeleteBlob(ctx, digest)
	})
}

// forgetLink forgets that a repository has a blob which the storage lost there, unless
// a manifest there names it or it is one: else its loss would be forgotten too, and
// what a lost manifest names be taken for what nothing needs.
func (l *Ledger) forgetLink(ctx context.Context, repository, digest string) error {
	kept := false
	err := l.transact(ctx, func(l *Ledger) (err error) {
		if gone, err := l.seizeLost(ctx, repository, digest); err != nil || !gone {
			return err
		}
		if kept, err = l.DB.LinkNamed(ctx, repository, digest); err != nil || kept {
			return err
		}
		return l.DB.DeleteLink(ctx, repository, digest)
	})
	if err != nil || !kept || l.OnLost == nil {
		return err
	}
	noted, err := l.DB.ExpectedContent(ctx, repository, digest)
	if err == nil && len(noted.Versions) > 0 { // else a collection that was killed began to remove it
		l.OnLost(ctx, constellation.LostContent{Repository: repository, Digest: digest, Versions: noted.Versions})
	}
	return err
}

// seizeLost holds a blob alone, and reports whether it is not in the storage.
func (l *Ledger) seizeLost(ctx context.Context, repository, digest string) (bool, error) {
	if seized, err := l.DB.SeizeBlob(ctx, digest, farFuture); err != nil || !seized {
		return false, err
	}
	_, err := l.Store.StoredBlob(ctx, repository, digest)
	if constellation.KindOf(err) == constellation.KindNotFound {
		return true, nil
	}
	return false, err
}

func (l *Ledger) countRepository(ctx context.Context, r constellation.StoredRepository) error {
	noted, err := l.DB.RepositoryContent(ctx, r.Name)
	if err != nil {
		return err
	}
	stored := make(map[string]bool, len(r.Blobs)+len(r.Manifests))
	for _, digest := range r.Blobs {
		stored[digest] = true
		if !noted.Links[digest] {
			if err := l.noteLink(ctx, r.Name, digest); err != nil {
				return err
			}
		}
	}
	for _, digest := range r.Manifests {
		stored[digest] = true
		if !noted.Manifests[digest] {
			if err := l.noteManifest(ctx, r.Name, digest); err != nil {
				return err
			}
		}
	}
	for digest := range noted.Links {
		if !stored[digest] {
			if err := l.forgetLink(ctx, r.Name, digest); err != nil {
				return err
			}
		}
	}
	return l.countTags(ctx, r, noted)
}

// countTags notes tags that are not noted. One that another push moves meanwhile is
// noted by that push.
func (l *Ledger) countTags(ctx context.Context, r constellation.StoredRepository, noted *postgres.RepositoryContent) error {
	for _, t := range r.Tags {
		if noted.Tags[t.Tag] == t.Digest {
			continue
		}
		if err := l.DB.InsertTag(ctx, r.Name, t, noted.Tags[t.Tag]); err != nil {
			return err
		}
	}
	return nil
}

// noteLink notes a blob of a repository that was found there. A link to a blob that
// is lost is left, as it leads nowhere.
func (l *Ledger) noteLink(ctx context.Context, repository, digest string) error {
	blob, err := l.Store.StoredBlob(ctx, repository, digest)
	if err != nil {
		return ignoreMissing(err)
	}
	return l.transact(ctx, func(l *Ledger) error {
		if err := l.DB.UpsertBlob(ctx, blob); err != nil {
			return err
		}
		if _, err := l.Store.StoredBlob(ctx, repository, digest); err != nil {
			return errGone(err)
		}
		_, err := l.DB.InsertLink(ctx, repository, digest)
		return err
	})
}

// errGone makes the end of a transaction of what is not there any more.
func errGone(err error) error {
	if constellation.KindOf(err) == constellation.KindNotFound {
		return constellation.Wrap(err, constellation.KindUnavailable, "the registry's storage changes in this moment; try again")
	}
	return err
}

func (l *Ledger) noteManifest(ctx context.Context, repository, digest string) error {
	m, err := l.Store.StoredManifest(ctx, repository, digest)
	if err != nil {
		return ignoreMissing(err)
	}
	return l.noteFoundManifest(ctx, *m)
}

// noteFoundManifest notes a manifest that was found in the storage.
func (l *Ledger) noteFoundManifest(ctx context.Context, m constellation.StoredManifest) error {
	return l.transact(ctx, func(l *Ledger) error {
		if err := l.DB.UpsertBlob(ctx, constellation.StoredBlob{Digest: m.Digest, Size: m.Size}); err != nil {
			return err
		}
		if _, err := l.Store.StoredManifest(ctx, m.Repository, m.Digest); err != nil {
			return errGone(err)
		}
		if _, err := l.DB.InsertLink(ctx, m.Repository, m.Digest); err != nil {
			return err
		}
		return l.DB.UpsertManifest(ctx, m)
	})
}

func ignoreMissing(err error) error {
	if constellation.KindOf(err) == constellation.KindNotFound {
		return nil
	}
	return err
}
