package control

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/space"
)

const (
	// mostLost is how much that the storage lost is remembered.
	mostLost = 1000
	// lostChecked is how much of it is looked for again at a time, and lostPause how
	// often.
	lostChecked = 100
	lostPause   = 30 * time.Second
)

// lostMemory is what this server found lost in the registry's storage.
type lostMemory struct {
	mu        sync.Mutex
	found     map[lostKey]constellation.LostContent
	checkedAt time.Time
}

type lostKey struct{ repository, digest, tag string }

// Lost returns what a repository is to have under a digest that its storage was found
// to lack; nil for what nobody ever pushed, and what is there by now.
func (s *Service) Lost(ctx context.Context, repository, digest string) (*constellation.LostContent, error) {
	return s.ledger().Lost(ctx, repository, digest)
}

// LostTag is Lost for a tag; missing looks for it in the storage.
func (s *Service) LostTag(ctx context.Context, repository, tag string, missing func(context.Context) (bool, error)) (*constellation.LostContent, error) {
	return s.ledger().LostTag(ctx, repository, tag, missing)
}

// EachLost calls f with what repositories are to have and the storage lacks, of those
// blobs that stored says were not found.
func (s *Service) EachLost(ctx context.Context, stored func(digest string) bool, f func(constellation.LostContent)) error {
	return s.ledger().EachLost(ctx, stored, f)
}

// CheckStoreOwner returns a KindConflict error when the registry's storage belongs to
// another mothership.
func (s *Service) CheckStoreOwner(ctx context.Context) error {
	return space.CheckOther(ctx, s.db, s.options.Store)
}

// BlobRepositories returns the repositories that have a blob, in order.
func (s *Service) BlobRepositories(ctx context.Context, digest string) ([]string, error) {
	return s.db.LinksOf(ctx, digest)
}

// NoteLost logs what the storage lost, once while it is lost, and remembers it for
// [Service.LostContent].
func (s *Service) NoteLost(ctx context.Context, lost constellation.LostContent) {
	m, key := &s.memory.lost, lostKey{lost.Repository, lost.Digest, lost.Tag}
	m.mu.Lock()
	_, known := m.found[key]
	if known || len(m.found) >= mostLost {
		m.mu.Unlock()
		return
	}
	if m.found == nil {
		m.found = map[lostKey]constellation.LostContent{}
	}
	m.found[key] = lost
	m.mu.Unlock()
	s.options.Log.ErrorContext(ctx, "the registry's storage lost content: restore the images from a backup or push them again; 'mothership storage verify' names all that is lost",
		"repository", lost.Repository, "digest", lost.Digest, "tag", lost.Tag, "versions", lost.Versions)
}

// LostContent returns what this server found lost, as far as it is not back.
func (s *Service) LostContent(ctx context.Context) ([]constellation.LostContent, error) {
	if err := s.lookForLost(ctx); err != nil {
		return nil, err
	}
	m := &s.memory.lost
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]constellation.LostContent, 0, len(m.found))
	for _, lost := range m.found {
		list = append(list, lost)
	}
	slices.SortFunc(list, func(a, b constellation.LostContent) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Tag, b.Tag))
	})
	return list, nil
}

// lookForLost looks now and then whether what was lost is back: pushed again, at any
// server, or restored; or whether nothing needs it any more.
func (s *Service) lookForLost(ctx context.Context) error {
	m, now := &s.memory.lost, s.now()
	if s.options.Store == nil {
		return nil
	}
	m.mu.Lock()
	if now.Sub(m.checkedAt) < lostPause {
		m.mu.Unlock()
		return nil
	}
	m.checkedAt = now
	var keys []lostKey
	for key := range m.found { // in another order each time
		if keys = append(keys, key); len(keys) == lostChecked {
			break
		}
	}
	m.mu.Unlock()
	for _, key := range keys {
		lost, err := s.Lost(ctx, key.repository, key.digest)
		if err != nil {
			return err
		}
		if lost == nil { // a tag that is lost alone is told again when somebody asks for it
			m.mu.Lock()
			delete(m.found, key)
			m.mu.Unlock()
		}
	}
	return nil
}

// CheckLost returns an error that says how much this server found lost; it is for
// /readyz, and so names nothing.
func (s *Service) CheckLost(ctx context.Context) error {
	list, err := s.LostContent(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	return constellation.Errorf(constellation.KindUnavailable, "of what images need, %d found lost in the storage; the System page, the log and 'mothership storage verify' say what, and a backup or another push brings it back", len(list))
}

// bundleContent is what bundles are made of. A version is of it, so that what is not
// there was lost.
type bundleContent struct{ s *Service }

// Manifest implements bundle.Content.
func (c bundleContent) Manifest(ctx context.Context, repository, digest string) ([]byte, error) {
	data, err := c.s.options.Content.Manifest(ctx, repository, digest)
	if constellation.KindOf(err) != constellation.KindNotFound {
		return data, err
	}
	lost, lookErr := c.s.Lost(ctx, repository, digest)
	if lookErr != nil {
		return nil, lookErr
	}
	if lost == nil {
		return nil, err
	}
	c.s.NoteLost(ctx, *lost)
	return nil, lost.Err()
}

var _ bundle.Content = bundleContent{}
