package space

import (
	"context"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// checkQuota refuses what would take an owner's repositories beyond its quota by
// more bytes. In a transaction that counted them it is exact, however many push.
func (l *Ledger) checkQuota(ctx context.Context, repository string, more int64) error {
	owner, _, _ := strings.Cut(repository, "/")
	room, err := l.DB.OwnerRoom(ctx, owner)
	if err != nil || room == nil || room.Bytes+more <= room.Quota {
		return err
	}
	return overQuota(owner, room.Bytes, room.Quota)
}

func overQuota(owner string, has, quota int64) error {
	return constellation.Errorf(constellation.KindForbidden,
		"this push would take %s beyond its quota of %s (%s are used): remove versions that nothing uses, or ask an admin for more",
		owner, ByteSize(quota), ByteSize(has))
}

// PushRoom returns how many bytes may still be pushed to a repository, -1 for any
// number. An owner with none left is refused.
func (l *Ledger) PushRoom(ctx context.Context, repository string) (int64, error) {
	owner, _, _ := strings.Cut(repository, "/")
	room, err := l.DB.OwnerRoom(ctx, owner)
	if err != nil || room == nil {
		return -1, err
	}
	if left := room.Quota - room.Bytes; left > 0 {
		return left, nil
	}
	return 0, overQuota(owner, room.Bytes, room.Quota)
}

// OverQuota is the refusal of a push that is larger than what PushRoom returned.
func (l *Ledger) OverQuota(ctx context.Context, repository string) error {
	owner, _, _ := strings.Cut(repository, "/")
	room, err := l.DB.OwnerRoom(ctx, owner)
	if err != nil {
		return err
	}
	if room == nil {
		return constellation.Errorf(constellation.KindConflict, "the quota of %s was removed just now; push again", owner)
	}
	return overQuota(owner, room.Bytes, room.Quota)
}

// ByteSize is a number of bytes as people read it.
func ByteSize(n int64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB"}
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n), ""
	for _, unit = range units {
		if value /= 1000; value < 999.5 {
			break
		}
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}
