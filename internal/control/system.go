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

// System is how the mothership is, for its admins.
type System struct {
	Version, Go, Platform string
	StartedAt             time.Time

	Database    postgres.ServerStatus
	Connections struct{ Open, InUse, Most int32 }
	Totals      Stats

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
	s.describeImage(ctx, m)
	return m, nil
}

// describeImage adds the system image, if it is there: not while it is being made.
func (s *Service) describeImage(ctx context.Context, m *System) {
	if s.options.SystemImage == nil {
		return
	}
	soon, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	image, err := s.options.SystemImage(soon)
	if err == nil {
		m.SystemImage = &image
		return
	}
	m.SystemImageWhy = "the server's log says why"
	var e *constellation.Error
	if errors.As(err, &e) {
		m.SystemImageWhy = e.Message
	}
}

// Version is the mothership's own, and that of its system image.
func (s *Service) Version() string { return s.options.Version }
