package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/space"
)

// ledger is the books of the registry's storage, on what s is on.
func (s *Service) ledger() *space.Ledger {
	return &space.Ledger{DB: s.db, Store: s.options.Store, TouchEvery: s.options.TouchEvery, Now: s.options.Now, Log: s.options.Log, OnLost: s.NoteLost}
}

// TouchBlob is called before somebody is told whether a blob is there: a garbage
// collection leaves it for a while. It waits for one that removes it.
func (s *Service) TouchBlob(ctx context.Context, digest string) error {
	return s.ledger().TouchBlob(ctx, digest)
}

// TouchManifest is TouchBlob for a manifest, by tag or digest.
func (s *Service) TouchManifest(ctx context.Context, repository, reference string) error {
	return s.ledger().TouchManifest(ctx, repository, reference)
}

// KeepBlob is TouchBlob for a blob that is being pushed.
func (s *Service) KeepBlob(ctx context.Context, digest string) error {
	return s.ledger().KeepBlob(ctx, digest)
}

// NoteBlob notes that a blob was stored in a repository; see space.Ledger.
func (s *Service) NoteBlob(ctx context.Context, repository string, b space.PushedBlob) error {
	return s.ledger().NoteBlob(ctx, repository, b)
}

// StoreManifest stores a manifest and notes it. store writes it, and may be called
// again. While it looks for what the manifest names, nobody removes any of it.
func (s *Service) StoreManifest(ctx context.Context, m constellation.StoredManifest, store func(context.Context) error) error {
	return s.ledger().StoreManifest(ctx, m, store)
}

// PushRoom returns how many bytes may still be pushed to a repository, -1 for any
// number. An owner with none left is refused.
func (s *Service) PushRoom(ctx context.Context, repository string) (int64, error) {
	return s.ledger().PushRoom(ctx, repository)
}

// OverQuota is the refusal of a push that is larger than what PushRoom returned.
func (s *Service) OverQuota(ctx context.Context, repository string) error {
	return s.ledger().OverQuota(ctx, repository)
}

// Collect removes from the registry's storage what no version, launch or referrer
// needs, while everything else goes on. It may be killed at any moment and run again.
func (s *Service) Collect(ctx context.Context, p Principal, o space.CollectOptions) (*space.Collected, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "collecting garbage"); err != nil {
		return nil, err
	}
	return s.ledger().Collect(ctx, space.Caller{
		Name: p.Username,
		Retire: func(ctx context.Context, ref constellation.AlgorithmRef) error {
			return s.DeleteAlgorithmVersion(ctx, p, ref, nil)
		},
		Done: func(ctx context.Context, done *space.Collected) error {
			return s.transact(ctx, func(s *Service) error {
				return s.audit(ctx, p, "registry.collect", registryTarget, nil, collectedView{done.Manifests, done.Blobs, done.Bytes})
			})
		},
	}, o)
}

var registryTarget = target{"registry", "registry", "registry"}

type collectedView struct {
	Manifests int64 `json:"manifests"`
	Blobs     int64 `json:"blobs"`
	Bytes     int64 `json:"bytes"`
}

// CollectAsSet is Collect as the settings of the server say.
func (s *Service) CollectAsSet(ctx context.Context, p Principal) (*space.Collected, error) {
	return s.Collect(ctx, p, s.options.Collection)
}

// Collection returns what a garbage collection of this server leaves.
func (s *Service) Collection() space.CollectOptions { return s.options.Collection }

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
		return s.audit(ctx, p, "registry.collect_request", registryTarget, nil, nil)
	})
}

// CollectionDue reports whether a garbage collection is due by a schedule: since the
// last one, or since the storage was first counted.
func (s *Service) CollectionDue(ctx context.Context, schedule interface{ Next(time.Time) time.Time }) (bool, error) {
	return s.ledger().CollectionDue(ctx, schedule)
}

// CountStorageOnce counts what the registry's storage holds where that was never done,
// as after an upgrade.
func (s *Service) CountStorageOnce(ctx context.Context) error {
	return s.ledger().CountStorageOnce(ctx)
}

// RemoveLeftUploads removes the uploads that nobody goes on with, where no garbage
// collection does.
func (s *Service) RemoveLeftUploads(ctx context.Context) (constellation.SpaceUse, error) {
	return s.ledger().RemoveLeftUploads(ctx)
}
