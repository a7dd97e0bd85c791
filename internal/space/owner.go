package space

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// MarkedStore is a store of images that says which mothership it is of.
type MarkedStore interface {
	bundle.Content
	// Owner returns the id that the store was marked with, "" when it was not.
	Owner(ctx context.Context) (string, error)
	SetOwner(ctx context.Context, id string) error
	// OwnerFile is where the id is, for messages.
	OwnerFile() string
}

// storeLock is held while a store is claimed.
const storeLock = "claim store"

// ClaimStore makes sure that a store is the one that all servers of this database
// share, before a server begins: it has the database's id, or gets it when it is
// new to both, or when the newest image is in it. Else KindConflict.
func ClaimStore(ctx context.Context, db *postgres.DB, store MarkedStore) error {
	return db.Transact(ctx, func(tx *postgres.DB) error {
		// One server after the other: two that start at once on stores of their own
		// must not both find that they are the first.
		if err := tx.Lock(ctx, storeLock); err != nil {
			return err
		}
		m, err := tx.Mothership(ctx)
		if err != nil {
			return err
		}
		owner, err := store.Owner(ctx)
		if err != nil {
			return err
		}
		switch owner {
		case m.ID:
			if m.StoreClaimedAt != nil { // nothing to write, which a standby would refuse
				return nil
			}
			return tx.ClaimStore(ctx)
		case "":
		default:
			return anothers(store, owner, m)
		}
		if err := mayClaim(ctx, tx, m, store); err != nil {
			return err
		}
		if err := store.SetOwner(ctx, m.ID); err != nil {
			return err
		}
		return tx.ClaimStore(ctx)
	})
}

// mayClaim returns nil when a store without a mark can be this mothership's: the
// newest image is in it, or there is none and no other store is its own.
func mayClaim(ctx context.Context, tx *postgres.DB, m *postgres.Mothership, store MarkedStore) error {
	newest, err := tx.NewestImage(ctx)
	if err != nil {
		return err
	}
	if newest == nil && m.StoreClaimedAt == nil {
		return nil
	}
	if newest != nil {
		_, err := store.Manifest(ctx, newest.Repository, newest.Digest)
		if err == nil || constellation.KindOf(err) != constellation.KindNotFound {
			return err
		}
	}
	return constellation.Errorf(constellation.KindConflict,
		"the store of images is not the one that the servers of this database share, or it was emptied: %s is not there; "+
			"start with their store (the same --storage on every server), restore it from a backup, or, to go on without the images, write %s into that file", store.OwnerFile(), m.ID)
}

// CheckOther returns a KindConflict error when a store belongs to another mothership;
// one that says nothing may be a copy.
func CheckOther(ctx context.Context, db *postgres.DB, store MarkedStore) error {
	m, err := db.Mothership(ctx)
	if err != nil {
		return err
	}
	owner, err := store.Owner(ctx)
	if err != nil || owner == "" || owner == m.ID {
		return err
	}
	return anothers(store, owner, m)
}

func anothers(store MarkedStore, owner string, m *postgres.Mothership) error {
	return constellation.Errorf(constellation.KindConflict,
		"the store of images belongs to another mothership (%s says %s, and this database is of %s); start with the store that belongs to this database, or with an empty one", store.OwnerFile(), shorten(owner), m.ID)
}

// CheckStore returns an error when a store is not this database's any more, as when
// a volume was unmounted under a server that runs.
func CheckStore(ctx context.Context, db *postgres.DB, store MarkedStore) error {
	m, err := db.Mothership(ctx)
	if err != nil {
		return err
	}
	owner, err := store.Owner(ctx)
	if err != nil {
		return err
	}
	if owner != m.ID {
		return constellation.Errorf(constellation.KindUnavailable, "the store of images is not this mothership's any more: %s is missing or another's; is its volume still mounted?", store.OwnerFile())
	}
	return nil
}

// shorten makes what a file says fit for a message.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if constellation.IsInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 200)], ""))
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
