package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// Notifications are how people are told; the zero value tells nobody.
type Notifications struct {
	Mail bool // there is a mail server
	// Deliver has a delivery done in the background, once db, a transaction, commits.
	Deliver func(ctx context.Context, db *postgres.DB, deliveryID string) error
}

var destinationListing = listing[constellation.Destination]{
	name: "notification_destinations", fallback: "name",
	sorts: map[string]sortKey[constellation.Destination]{
		"name":       byText(func(d *constellation.Destination) string { return constellation.Fold(d.Name) }),
		"created_at": byTime(func(d *constellation.Destination) time.Time { return d.CreatedAt }),
	},
	id: byUUID(func(d *constellation.Destination) string { return d.ID }),
}

// ListDestinations returns a page of where people are told; admins only.
func (s *Service) ListDestinations(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Destination], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing destinations"); err != nil {
		return Page[constellation.Destination]{}, err
	}
	list, err := destinationListing.parse(q)
	if err != nil {
		return Page[constellation.Destination]{}, err
	}
	rows, err := s.db.Destinations(ctx, list)
	return destinationListing.page(list, rows), err
}

// GetDestination returns a destination; admins only.
func (s *Service) GetDestination(ctx context.Context, p Principal, id string) (*constellation.Destination, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a destination"); err != nil {
		return nil, err
	}
	id, err := parseID("destination", id)
	if err != nil {
		return nil, err
	}
	return s.db.Destination(ctx, id)
}

// DestinationChange is what a destination is made or changed to; nil leaves a field.
type DestinationChange struct {
	Name       *string
	Kind       constellation.DestinationKind // of a new one alone
	URL        *string                       // of a webhook or chat
	Secret     *string                       // of a webhook; nil of a new one has one made
	Recipients *[]string                     // of e-mail
	Disabled   *bool
}

// CreateDestination adds a destination, and returns with it the secret that was made
// for a webhook, which is shown this once; "" when there is none to show.
func (s *Service) CreateDestination(ctx context.Context, p Principal, c DestinationChange) (*constellation.Destination, string, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "adding a destination"); err != nil {
		return nil, "", err
	}
	now := s.now()
	d := &constellation.Destination{ID: uuid.NewString(), Kind: c.Kind, CreatedAt: now, CreatedBy: p.Username, UpdatedAt: now, UpdatedBy: p.Username}
	var v constellation.Validation
	if !slices.Contains(constellation.DestinationKinds, c.Kind) {
		v.Add("kind", "a destination's kind is webhook, slack, teams or email")
	}
	made := ""
	if c.Kind == constellation.DestinationWebhook && c.Secret == nil {
		made = notify.NewSecret()
		c.Secret = &made
	}
	if c.Name == nil {
		c.Name = new(string)
	}
	if c.URL == nil && c.Kind != constellation.DestinationEmail {
		c.URL = new(string)
	}
	if c.Recipients == nil && c.Kind == constellation.DestinationEmail {
		c.Recipients = &[]string{}
	}
	secret := s.applyDestination(&v, d, c)
	if err := v.Err(); err != nil {
		return nil, "", err
	}
	return d, made, s.transact(ctx, func(s *Service) error {
		n, err := s.db.CountDestinations(ctx)
		if err != nil {
			return err
		}
		if n >= constellation.MaxDestinations {
			return constellation.Errorf(constellation.KindConflict, "there are %d destinations, and no more are kept; remove one that nobody needs", n)
		}
		sealed, err := s.sealDestination(d.ID, secret)
		if err != nil {
			return err
		}
		if err := s.db.InsertDestination(ctx, d, sealed); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_destination.create", destinationTarget(d), nil, viewDestination(d))
	})
}

// applyDestination makes a destination what a change says, and returns its secret; nil
// is that it stays.
func (s *Service) applyDestination(v *constellation.Validation, d *constellation.Destination, c DestinationChange) *constellation.DestinationSecret {
	if c.Name != nil {
		d.Name = *c.Name
		constellation.CheckDisplayName(v, "name", "a destination", d.Name)
	}
	if c.Disabled != nil {
		d.Disabled, d.DisabledWhy = *c.Disabled, ""
	}
	mail := d.Kind == constellation.DestinationEmail
	switch {
	case c.Recipients != nil && !mail:
		v.Add("recipients", "recipients are of e-mail; a %s has a url", d.Kind)
	case c.Recipients != nil:
		d.Address = constellation.CheckRecipients(v, *c.Recipients)
		if !s.options.Notifications.Mail {
			v.Add("kind", "this mothership sends no mail: whoever runs it sets --smtp-host and --smtp-from")
		}
	case mail && (c.URL != nil || c.Secret != nil):
		v.Add("url", "e-mail goes to recipients; it has no url and no secret")
	}
	if c.Secret != nil && d.Kind != constellation.DestinationWebhook && !mail {
		v.Add("secret", "a secret is of a webhook; what lets one post to a chat is its url")
	} else if c.Secret != nil && !mail {
		if err := notify.CheckSecret(*c.Secret); err != nil {
			v.Add("secret", "the secret is of no use: %s", err)
		}
	}
	if mail || c.URL == nil && c.Secret == nil {
		return nil
	}
	var secret constellation.DestinationSecret
	if c.URL != nil {
		d.Address = constellation.CheckTarget(v, d.Kind, *c.URL)
		secret.URL = *c.URL
	}
	if c.Secret != nil {
		secret.Secret = *c.Secret
	}
	return &secret
}

// sealDestination seals a secret; nil stays nil.
func (s *Service) sealDestination(id string, secret *constellation.DestinationSecret) ([]byte, error) {
	if secret == nil {
		return nil, nil
	}
	data, err := json.Marshal(secret) //nolint:gosec // sealed below
	if err != nil {
		return nil, fmt.Errorf("encode the secret of a destination: %w", err)
	}
	return s.options.Sealer.Seal(notify.SecretPlace(id), data), nil
}

// UpdateDestination changes a destination. It counts as well from then on: what waits
// for it is tried.
func (s *Service) UpdateDestination(ctx context.Context, p Principal, id string, c DestinationChange) (*constellation.Destination, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "changing a destination"); err != nil {
		return nil, err
	}
	var d *constellation.Destination
	err := s.transact(ctx, func(s *Service) (err error) {
		if d, err = s.GetDestination(ctx, p, id); err != nil {
			return err
		}
		before := viewDestination(d)
		var v constellation.Validation
		secret := s.applyDestination(&v, d, c)
		if err := v.Err(); err != nil {
			return err
		}
		if secret != nil {
			if err := s.completeSecret(ctx, d.ID, secret); err != nil {
				return err
			}
		}
		sealed, err := s.sealDestination(d.ID, secret)
		if err != nil {
			return err
		}
		d.UpdatedAt, d.UpdatedBy, d.FailingSince, d.NextTryAt = s.now(), p.Username, nil, nil
		if err := s.db.UpdateDestination(ctx, d, sealed); err != nil {
			return err
		}
		after := viewDestination(d)
		after.SecretChanged = secret != nil
		return s.audit(ctx, p, "notification_destination.update", destinationTarget(d), before, after)
	})
	return d, err
}

// completeSecret fills in of a secret what is not changed.
func (s *Service) completeSecret(ctx context.Context, id string, secret *constellation.DestinationSecret) error {
	sealed, err := s.db.DestinationSealed(ctx, id)
	if err != nil {
		return err
	}
	data, err := s.options.Sealer.Open(notify.SecretPlace(id), sealed)
	if err != nil {
		return fmt.Errorf("open the secret of destination %s: %w", id, err)
	}
	var before constellation.DestinationSecret
	if err := json.Unmarshal(data, &before); err != nil {
		return fmt.Errorf("read the secret of destination %s: %w", id, err)
	}
	if secret.URL == "" {
		secret.URL = before.URL
	}
	if secret.Secret == "" {
		secret.Secret = before.Secret
	}
	return nil
}

// DeleteDestination removes a destination; what waits for it is told nobody.
func (s *Service) DeleteDestination(ctx context.Context, p Principal, id string) error {
	return s.transact(ctx, func(s *Service) error {
		d, err := s.GetDestination(ctx, p, id)
		if err != nil {
			return err
		}
		if err := s.db.DeleteDestination(ctx, d.ID, s.now()); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_destination.delete", destinationTarget(d), viewDestination(d), nil)
	})
}

// TestDestination has a destination told that it can be, and returns the delivery.
func (s *Service) TestDestination(ctx context.Context, p Principal, id string) (*constellation.Delivery, error) {
	var delivery *constellation.Delivery
	err := s.transact(ctx, func(s *Service) error {
		d, err := s.GetDestination(ctx, p, id)
		if err != nil {
			return err
		}
		pending, err := s.db.PendingDeliveries(ctx, d.ID)
		if err != nil {
			return err
		}
		if pending >= maxPendingTests {
			return constellation.Errorf(constellation.KindConflict, "%d messages wait for this destination already; see what the log says of them", pending)
		}
		var m *constellation.NoticeMessage
		var giveUp time.Time
		delivery, m, giveUp = notify.NewTest(d, p.Username, s.now())
		if err := s.db.InsertDelivery(ctx, delivery, m, giveUp); err != nil {
			return err
		}
		if err := s.deliver(ctx, delivery.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_destination.test", destinationTarget(d), nil, nil)
	})
	return delivery, err
}

// maxPendingTests is how many messages may wait for a destination for it to be tried.
const maxPendingTests = 250

func (s *Service) deliver(ctx context.Context, id string) error {
	if s.options.Notifications.Deliver == nil {
		return constellation.Errorf(constellation.KindUnavailable, "this mothership tells nobody: it runs no jobs")
	}
	return s.options.Notifications.Deliver(ctx, s.db, id)
}

func destinationTarget(d *constellation.Destination) target {
	return target{"notification_destination", d.ID, d.Name}
}

type destinationView struct {
	Name          string                        `json:"name"`
	Kind          constellation.DestinationKind `json:"kind"`
	Address       string                        `json:"address"`
	Disabled      bool                          `json:"disabled"`
	SecretChanged bool                          `json:"secret_changed,omitempty"`
}

func viewDestination(d *constellation.Destination) destinationView {
	return destinationView{Name: d.Name, Kind: d.Kind, Address: d.Address, Disabled: d.Disabled}
}
