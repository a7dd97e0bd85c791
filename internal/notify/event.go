package notify

import (
	"context"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Event is something that happened. Kind, Subject, ID, Name and Text are needed.
type Event struct {
	Kind    constellation.NoticeKind
	At      time.Time // zero is now
	Subject string    // what it happened to, as the audit log's kinds of targets: "algorithm_version", "owner", …
	ID      string    // of the subject, or its name where it has none
	Name    string    // of the subject, for people

	SatelliteID, SatelliteName string // "" when it is of no satellite

	// Text says in a sentence what happened and what to do: one that may stand in a
	// mail to many, with no secret.
	Text string

	// Once not "" makes it no event while one with the same text was recorded within
	// OnceFor (0 is a day): for what is found anew each time that somebody looks, such
	// as "quota/OWNER". It has at most 200 bytes.
	Once    string
	OnceFor time.Duration
}

// Bounds of what is told of an event.
const (
	maxName = 200
	maxText = 500
	maxOnce = 200
)

// Record has people told of events. When db is a transaction, they are events once
// that commits, and none when it does not. It costs one statement; kinds that no rule
// is for leave nothing behind.
func Record(ctx context.Context, db *postgres.DB, events ...Event) error {
	now := time.Now().UTC()
	notices := make([]postgres.NewNotice, len(events))
	for i, e := range events {
		if e.At.IsZero() {
			e.At = now
		}
		if e.OnceFor <= 0 {
			e.OnceFor = 24 * time.Hour
		}
		if e.Once != "" {
			e.Once = string(e.Kind) + "/" + e.Once
		}
		n := postgres.NewNotice{Once: plain(e.Once, maxOnce), Until: now.Add(e.OnceFor)}
		n.At, n.Kind, n.Text = e.At, e.Kind, plain(e.Text, maxText)
		n.SubjectKind, n.SubjectID, n.SubjectName = e.Subject, plain(e.ID, maxName), plain(e.Name, maxName)
		if e.SatelliteID != "" {
			n.SatelliteID, n.SatelliteName = &e.SatelliteID, plain(e.SatelliteName, maxName)
		}
		notices[i] = n
	}
	return db.InsertNotices(ctx, now, notices)
}

// plain returns s in one line of at most n characters, with nothing in it that is not
// seen.
func plain(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case constellation.IsInvisible(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}
