package control

import (
	"context"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
)

var deliveryListing = listing[constellation.Delivery]{
	name: "notification_deliveries", fallback: "-created_at",
	sorts: map[string]sortKey[constellation.Delivery]{
		"created_at": byTime(func(d *constellation.Delivery) time.Time { return d.CreatedAt }),
	},
	id: byUUID(func(d *constellation.Delivery) string { return d.ID }),
}

// DeliveryFilter narrows the log of messages; "" is everything.
type DeliveryFilter struct{ State, DestinationID string }

// ListDeliveries returns a page of messages and what became of them, those of the last
// 30 days; admins only.
func (s *Service) ListDeliveries(ctx context.Context, p Principal, f DeliveryFilter, q ListQuery) (Page[constellation.Delivery], error) {
	none := Page[constellation.Delivery]{}
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading the log of messages"); err != nil {
		return none, err
	}
	states := []constellation.DeliveryState{"", constellation.DeliveryPending, constellation.DeliverySent, constellation.DeliveryFailed}
	if !slices.Contains(states, constellation.DeliveryState(f.State)) {
		var v constellation.Validation
		v.Add("state", "a delivery's state is pending, sent or failed")
		return none, v.Err()
	}
	if f.DestinationID != "" {
		id, err := parseID("destination", f.DestinationID)
		if err != nil {
			var v constellation.Validation
			v.Add("destination_id", "%s", messageOf(err))
			return none, v.Err()
		}
		f.DestinationID = id
	}
	list, err := deliveryListing.parse(q, "state="+f.State, "destination="+f.DestinationID)
	if err != nil {
		return none, err
	}
	rows, err := s.db.Deliveries(ctx, f.State, f.DestinationID, list)
	return deliveryListing.page(list, rows), err
}

// GetDelivery returns a delivery; admins only.
func (s *Service) GetDelivery(ctx context.Context, p Principal, id string) (*constellation.Delivery, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading the log of messages"); err != nil {
		return nil, err
	}
	id, err := parseID("delivery", id)
	if err != nil {
		return nil, err
	}
	return s.db.Delivery(ctx, id)
}

// ResendDelivery has a message that is finished sent again, under its id.
func (s *Service) ResendDelivery(ctx context.Context, p Principal, id string) (*constellation.Delivery, error) {
	var d *constellation.Delivery
	err := s.transact(ctx, func(s *Service) (err error) {
		if d, err = s.GetDelivery(ctx, p, id); err != nil {
			return err
		}
		if d.DestinationID == nil {
			return constellation.Errorf(constellation.KindConflict, "the destination %s was removed: there is nowhere to send this to", d.DestinationName)
		}
		again, err := notify.Resend(ctx, s.db, d.ID, s.now())
		if err != nil {
			return err
		}
		if !again {
			return constellation.Errorf(constellation.KindConflict, "this message is still tried; it can be sent again once it was sent or has failed")
		}
		if err := s.deliver(ctx, d.ID); err != nil {
			return err
		}
		if d, err = s.GetDelivery(ctx, p, d.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_delivery.resend", target{"notification_delivery", d.ID, d.Title}, nil, nil)
	})
	return d, err
}
