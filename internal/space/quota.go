package space

import (
	"context"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// checkQuota refuses what took an owner's repositories beyond its quota, and has people
// told when that is nearly used up. In a transaction that counted what was added it is
// exact, however many push.
func (l *Ledger) checkQuota(ctx context.Context, repository string) error {
	owner, _, _ := strings.Cut(repository, "/")
	room, err := l.DB.OwnerRoom(ctx, owner)
	if err != nil || room == nil {
		return err
	}
	if room.Bytes > room.Quota {
		return overQuota(owner, room.Bytes, room.Quota)
	}
	return l.tellQuota(ctx, owner, room)
}

// tellQuota has people told when an owner's use comes to a level of its quota, once
// until it is below that again. Of several that push at once, one tells.
func (l *Ledger) tellQuota(ctx context.Context, owner string, room *postgres.OwnerRoom) error {
	level := constellation.QuotaLevel(room.Bytes, room.Quota)
	if level == room.Told {
		return nil
	}
	before, err := l.DB.QuotaTold(ctx, owner, level)
	if err != nil || level <= before {
		return err
	}
	return notify.Record(ctx, l.DB, notify.Event{
		Kind: constellation.NoticeQuotaNear, Subject: "owner", ID: owner, Name: owner,
		Text: fmt.Sprintf("%d %% of the quota are used, %s of %s; what is beyond it is refused: remove versions that nothing uses, or set a larger quota",
			constellation.QuotaPercent(room.Bytes, room.Quota), ByteSize(room.Bytes), ByteSize(room.Quota)),
	})
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
