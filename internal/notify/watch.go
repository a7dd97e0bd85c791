package notify

import (
	"context"
	"errors"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// When people are told of what expires: so many days before, the most first.
var (
	launchDays = []int{30, 7, 1}
	keyDays    = []int{7, 1}
)

// What is kept of deliveries that ended.
const (
	deliveriesKept = 30 * 24 * time.Hour
	deliveriesMost = 10_000
	lateAfter      = 15 * time.Minute
	lateBatch      = 1000
)

// Watch looks for what expires soon, removes what is old, and has messages delivered
// whose job was lost, as with a database that was restored without its jobs. One server
// calls it now and then.
func (s *Service) Watch(ctx context.Context) error {
	now, db := s.now(), s.config.DB
	if err := db.NoteExpiringLaunches(ctx, now, launchDays); err != nil {
		return err
	}
	if err := db.NoteExpiringKeys(ctx, now, keyDays); err != nil {
		return err
	}
	if err := db.PurgeNotifications(ctx, now, now.Add(-deliveriesKept), deliveriesMost); err != nil {
		return err
	}
	late, err := db.LateDeliveries(ctx, now.Add(-lateAfter), lateBatch)
	if err != nil {
		return err
	}
	for _, id := range late {
		if err := Enqueue(ctx, s.config.Queue, db, id); err != nil {
			return err
		}
	}
	return nil
}

const storageMark = "storage"

// WatchStorage has people told when check fails twice, with a pause in between, and when
// it is well again. One server calls it each minute.
func (s *Service) WatchStorage(ctx context.Context, check func(context.Context) error, pause time.Duration) error {
	bounded := func() error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return check(ctx)
	}
	problem := bounded()
	if problem != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		problem = bounded()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	event := Event{Subject: "storage", ID: "registry", Name: "The registry's storage", At: s.now()}
	if problem != nil {
		event.Kind, event.Once, event.OnceFor = constellation.NoticeStorageUnhealthy, storageMark, 100*365*24*time.Hour
		event.Text = "pushes and pulls fail: " + messageOf(problem) + "; /readyz and the server's log say more"
		return Record(ctx, s.config.DB, event)
	}
	return s.config.DB.Transact(ctx, func(tx *postgres.DB) error {
		was, err := tx.EndMark(ctx, string(constellation.NoticeStorageUnhealthy)+"/"+storageMark)
		if err != nil || !was {
			return err
		}
		event.Kind, event.Text = constellation.NoticeStorageBack, "it answers again"
		return Record(ctx, tx, event)
	})
}

// messageOf is what may be shown of an error.
func messageOf(err error) string {
	var e *constellation.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "it does not answer as it should"
}
