package control

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// StorageUse is what the registry's blobs take.
type StorageUse struct {
	Blobs int
	Bytes int64
}

// storageUseAge is how old StorageUse may be: a large storage takes a while
// to walk.
const storageUseAge = 5 * time.Minute

// System is how the mothership is, for its admins.
type System struct {
	Version, Go, Platform string
	StartedAt             time.Time

	Database    postgres.ServerStatus
	Connections struct{ Open, InUse, Most int32 }
	Totals      Stats

	Storage   *StorageUse // nil when it could not be told
	StorageAt time.Time

	SigningKey SigningKey

	Servers []Server // that run, oldest first

	Lost []constellation.LostContent // what this server found lost in the registry's storage

	SystemImage    *bundle.System // nil while there is none
	SystemImageWhy string         // why there is none

	PurgedAt *time.Time // when what has expired was last removed
}

// System returns the state of the mothership; admins only.
func (s *Service) System(ctx context.Context, p Principal) (*System, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading the state of the system"); err != nil {
		return nil, err
	}
	m := &System{
		Version: s.options.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		StartedAt: s.memory.startedAt,
	}
	status, err := s.db.ServerStatus(ctx)
	if err != nil {
		return nil, err
	}
	m.Database = *status
	stat := s.options.DB.Stat()
	m.Connections.Open, m.Connections.InUse, m.Connections.Most = stat.TotalConns(), stat.AcquiredConns(), stat.MaxConns()
	if m.Totals, err = s.Stats(ctx); err != nil {
		return nil, err
	}
	if m.SigningKey, err = s.SigningKey(ctx); err != nil {
		return nil, err
	}
	if m.Servers, err = s.db.Servers(ctx, serverSeen); err != nil {
		return nil, err
	}
	if m.PurgedAt, err = s.db.JobCompletedAt(ctx, PurgeJob); err != nil {
		return nil, err
	}
	if m.Lost, err = s.LostContent(ctx); err != nil {
		s.options.Log.WarnContext(ctx, "look for what the registry's storage lost", "error", err)
	}
	s.describeImages(ctx, m)
	return m, nil
}

// describeImages adds what the registry knows; what it cannot tell is left
// out.
func (s *Service) describeImages(ctx context.Context, m *System) {
	if s.options.SystemImage != nil {
		// It is there, or still being made.
		soon, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if image, err := s.options.SystemImage(soon); err == nil {
			m.SystemImage = &image
		} else {
			var e *constellation.Error
			m.SystemImageWhy = "the server's log says why"
			if errors.As(err, &e) {
				m.SystemImageWhy = e.Message
			}
		}
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.options.StorageUse == nil {
		return
	}
	if now := s.now(); s.memory.useAt.IsZero() || now.Sub(s.memory.useAt) >= storageUseAge {
		use, err := s.options.StorageUse(ctx)
		if err != nil {
			s.options.Log.WarnContext(ctx, "measure the registry's storage", "error", err)
			return
		}
		s.memory.use, s.memory.useAt = use, now
	}
	use := s.memory.use
	m.Storage, m.StorageAt = &use, s.memory.useAt
}

// Version is the mothership's own, and that of its system image.
func (s *Service) Version() string { return s.options.Version }
