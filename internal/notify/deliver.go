package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// waits are how long a destination that took nothing is left alone, by how often that
// was in a row; the last one from then on.
var waits = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour,
}

// Deliver tries a delivery once; it is the work of a DeliverJob. A message that was not
// taken is put off by the error that it returns then.
//
// While a destination takes nothing, one message after the other knocks, later and
// later: what waits for it takes no worker from others.
func (s *Service) Deliver(ctx context.Context, id string) error {
	db := s.config.DB
	d, err := db.Delivery(ctx, id)
	if constellation.KindOf(err) == constellation.KindNotFound {
		return nil // removed, being old
	}
	if err != nil || d.State != constellation.DeliveryPending {
		return err
	}
	if d.DestinationID == nil {
		return s.fail(ctx, d, nil, 0, "the destination was removed")
	}
	destination, err := db.Destination(ctx, *d.DestinationID)
	if err != nil {
		return err
	}
	content, err := db.DeliveryContent(ctx, id)
	if err != nil {
		return err
	}
	now := s.now()
	if destination.Disabled && !content.Content.Test {
		return s.fail(ctx, d, destination, 0, "the destination was turned off; turn it on and send this again")
	}
	if !content.Content.Test {
		may, err := db.ClaimFailing(ctx, destination.ID, now, now.Add(DeliverTimeout))
		if err != nil {
			return err
		}
		if !may {
			return s.wait(ctx, d, destination, content, now)
		}
	}
	secret, err := s.secretOf(ctx, destination.ID)
	if err != nil {
		return err
	}
	err = s.sender.send(ctx, destination, secret, d.ID, d.CreatedAt, &content.Content)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // this server stops: another attempt, here or elsewhere
	}
	return s.ended(ctx, d, destination, content, err)
}

// ended notes how an attempt ended.
func (s *Service) ended(ctx context.Context, d *constellation.Delivery, destination *constellation.Destination, content *postgres.DeliveryContent, err error) error {
	now := s.now()
	if err == nil {
		s.metrics.attempt(destination, "sent")
		return s.config.DB.Transact(ctx, func(tx *postgres.DB) error {
			if err := tx.FinishDelivery(ctx, d.ID, constellation.DeliverySent, 1, "", now); err != nil {
				return err
			}
			return tx.DestinationTook(ctx, destination.ID)
		})
	}
	problem := &sendError{text: err.Error()}
	errors.As(err, &problem)
	if problem.gone && !content.Content.Test {
		return s.gone(ctx, d, destination, problem.text)
	}
	if problem.permanent || content.Content.Test { // whoever tries it wants to know now
		return s.fail(ctx, d, destination, 1, problem.text)
	}
	var next time.Time
	err = s.config.DB.Transact(ctx, func(tx *postgres.DB) error {
		failures, err := tx.DestinationFailed(ctx, destination.ID, now)
		if err != nil {
			return err
		}
		next = now.Add(max(backoff(failures), problem.after))
		if err := tx.RetryDestination(ctx, destination.ID, next); err != nil {
			return err
		}
		return tx.RetryDelivery(ctx, d.ID, problem.text, next)
	})
	if err != nil {
		return err
	}
	if next.After(content.GiveUpAt) {
		return s.fail(ctx, d, destination, 0, problem.text+"; nothing was taken until "+stamp(content.GiveUpAt))
	}
	s.metrics.attempt(destination, "again")
	return river.JobSnooze(next.Sub(now))
}

// wait has a delivery wait for its destination, which somebody else knocks at.
func (s *Service) wait(ctx context.Context, d *constellation.Delivery, destination *constellation.Destination, content *postgres.DeliveryContent, now time.Time) error {
	if now.After(content.GiveUpAt) {
		return s.fail(ctx, d, destination, 0, "the destination took nothing until "+stamp(content.GiveUpAt))
	}
	next := now.Add(DeliverTimeout)
	if destination.NextTryAt != nil && destination.NextTryAt.After(now) {
		next = *destination.NextTryAt
	}
	next = next.Add(time.Second + rand.N(5*time.Second)) //nolint:gosec // spreads attempts, guards nothing
	if err := s.config.DB.WaitDelivery(ctx, d.ID, next); err != nil {
		return err
	}
	return river.JobSnooze(next.Sub(now))
}

func backoff(failures int) time.Duration {
	wait := waits[min(max(failures, 1), len(waits))-1]
	return wait + rand.N(wait/5) //nolint:gosec // spreads attempts, guards nothing
}

// fail ends a delivery that is not tried again.
func (s *Service) fail(ctx context.Context, d *constellation.Delivery, destination *constellation.Destination, attempts int, problem string) error {
	s.metrics.attempt(destination, "failed")
	s.config.Log.WarnContext(ctx, "a notification was not delivered", "delivery", d.ID, "destination", d.DestinationName, "error", problem)
	return s.config.DB.FinishDelivery(ctx, d.ID, constellation.DeliveryFailed, attempts, plain(problem, maxText), s.now())
}

// gone turns a destination off whose receiver says that it is no more.
func (s *Service) gone(ctx context.Context, d *constellation.Delivery, destination *constellation.Destination, problem string) error {
	now := s.now()
	why := fmt.Sprintf("it says that it is gone: %s", problem)
	err := s.config.DB.Transact(ctx, func(tx *postgres.DB) error {
		off, err := tx.DisableDestination(ctx, destination.ID, plain(why, maxText), constellation.ActorSystem, now)
		if err != nil || !off {
			return err
		}
		return tx.InsertEvent(ctx, &constellation.Event{
			At: now, Actor: constellation.ActorSystem, Action: "notification_destination.update", TargetKind: "notification_destination", TargetID: destination.ID, TargetName: destination.Name,
			Before: []byte(`{"disabled":false}`), After: []byte(`{"disabled":true}`),
		})
	})
	if err != nil {
		return err
	}
	return s.fail(ctx, d, destination, 1, why)
}
