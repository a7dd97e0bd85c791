package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/cron"
)

// BackupPlan is how backups are taken by the clock; Target "" is that they are not.
type BackupPlan struct {
	Target   string
	Schedule string // as in a crontab, in UTC
	Keep     int    // how many stay; 0 is all
}

// Backups is how backups are.
type Backups struct {
	Plan BackupPlan
	Last *constellation.Backup // the last that succeeded, nil when none did
	Next *time.Time            // when one is due by the clock, nil when none is
	// Failed says that what was taken last failed; nil when it did not.
	Failed *constellation.Backup
}

var backupListing = listing[constellation.Backup]{
	name: "backups", fallback: "-started_at",
	sorts: map[string]sortKey[constellation.Backup]{
		"started_at": byTime(func(b *constellation.Backup) time.Time { return b.StartedAt }),
		"bytes":      byNumber(func(b *constellation.Backup) int64 { return b.Bytes }),
	},
	id: byNumber(func(b *constellation.Backup) int64 { return b.ID }),
}

// ListBackups returns a page of the backups that were taken, or were to be; admins
// only.
func (s *Service) ListBackups(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Backup], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading of backups"); err != nil {
		return Page[constellation.Backup]{}, err
	}
	list, err := backupListing.parse(q)
	if err != nil {
		return Page[constellation.Backup]{}, err
	}
	rows, err := s.db.BackupPage(ctx, list)
	return backupListing.page(list, rows), err
}

// Backups returns how backups are; admins only.
func (s *Service) Backups(ctx context.Context, p Principal) (*Backups, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading of backups"); err != nil {
		return nil, err
	}
	b := &Backups{Plan: s.options.Backup}
	newest, err := s.db.Backups(ctx, 1)
	if err != nil {
		return nil, err
	}
	if len(newest) == 1 && newest[0].Error != "" {
		b.Failed = &newest[0]
	}
	if b.Last, err = s.db.LastBackup(ctx); err != nil || b.Plan.Target == "" {
		return b, err
	}
	schedule, err := cron.Parse(b.Plan.Schedule, "UTC")
	if err != nil {
		return nil, err
	}
	since := s.memory.startedAt
	if b.Last != nil {
		since = b.Last.StartedAt
	}
	if next := schedule.Next(since); !next.IsZero() {
		b.Next = &next
	}
	return b, nil
}
