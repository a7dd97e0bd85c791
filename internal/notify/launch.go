package notify

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Transition is a launch whose status became another.
type Transition struct {
	LaunchID string
	From, To constellation.LaunchStatus
}

// RecordTransitions has people told of launches whose status changed at a time, in the
// transaction that changed it. It costs nothing when none did, and one statement else.
func RecordTransitions(ctx context.Context, db *postgres.DB, at time.Time, list []Transition) error {
	var notices []postgres.LaunchNotice
	for _, t := range list {
		if kind := t.kind(); kind != "" {
			notices = append(notices, postgres.LaunchNotice{LaunchID: t.LaunchID, Kind: kind})
		}
	}
	return db.InsertLaunchNotices(ctx, at, notices)
}

// kind is what a transition is for people; "" is nothing. A launch that is heard of for
// the first time and is up is none.
func (t Transition) kind() constellation.NoticeKind {
	switch {
	case t.From == t.To:
		return ""
	case t.To == constellation.LaunchStale:
		return constellation.NoticeLaunchStale
	case t.To == constellation.LaunchDegraded:
		return constellation.NoticeLaunchDegraded
	case t.To == constellation.LaunchUp && t.From != constellation.LaunchNeverSeen:
		return constellation.NoticeLaunchBack
	}
	return ""
}
