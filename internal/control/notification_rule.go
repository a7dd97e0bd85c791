package control

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var notificationRuleListing = listing[constellation.NotificationRule]{
	name: "notification_rules", fallback: "name",
	sorts: map[string]sortKey[constellation.NotificationRule]{
		"name":       byText(func(r *constellation.NotificationRule) string { return constellation.Fold(r.Name) }),
		"created_at": byTime(func(r *constellation.NotificationRule) time.Time { return r.CreatedAt }),
	},
	id: byUUID(func(r *constellation.NotificationRule) string { return r.ID }),
}

// What a rule has that says nothing of it.
const (
	DefaultGroupSeconds  = 60
	DefaultRepeatSeconds = 900
)

// ListNotificationRules returns a page of what is told where; admins only.
func (s *Service) ListNotificationRules(ctx context.Context, p Principal, q ListQuery) (Page[constellation.NotificationRule], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing notification rules"); err != nil {
		return Page[constellation.NotificationRule]{}, err
	}
	list, err := notificationRuleListing.parse(q)
	if err != nil {
		return Page[constellation.NotificationRule]{}, err
	}
	rows, err := s.db.NotificationRules(ctx, list)
	return notificationRuleListing.page(list, rows), err
}

// GetNotificationRule returns a rule; admins only.
func (s *Service) GetNotificationRule(ctx context.Context, p Principal, id string) (*constellation.NotificationRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a notification rule"); err != nil {
		return nil, err
	}
	id, err := parseID("notification rule", id)
	if err != nil {
		return nil, err
	}
	return s.db.NotificationRule(ctx, id)
}

// checkNotificationRule finds what is wrong with a rule, in the transaction that puts it.
func (s *Service) checkNotificationRule(ctx context.Context, r *constellation.NotificationRule) error {
	var v constellation.Validation
	slices.Sort(r.DestinationIDs)
	r.DestinationIDs = slices.Compact(r.DestinationIDs)
	constellation.CheckNotificationRule(&v, r)
	var ids []string
	for _, id := range r.DestinationIDs {
		parsed, err := uuid.Parse(id)
		if err != nil || len(id) != 36 {
			v.Add("destinations", "there is no destination %q: its id is a UUID", clean(id, 60))
			return v.Err()
		}
		ids = append(ids, parsed.String())
	}
	r.DestinationIDs = ids
	known, err := s.db.KnownDestinations(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			v.Add("destinations", "there is no destination %q", id)
		}
	}
	return v.Err()
}

// CreateNotificationRule adds a rule; its ID and times are made here.
func (s *Service) CreateNotificationRule(ctx context.Context, p Principal, r constellation.NotificationRule) (*constellation.NotificationRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "adding a notification rule"); err != nil {
		return nil, err
	}
	r.ID, r.CreatedAt, r.CreatedBy, r.UpdatedAt, r.UpdatedBy = uuid.NewString(), s.now(), p.Username, s.now(), p.Username
	err := s.transact(ctx, func(s *Service) error {
		if err := s.checkNotificationRule(ctx, &r); err != nil {
			return err
		}
		n, err := s.db.CountNotificationRules(ctx)
		if err != nil {
			return err
		}
		if n >= constellation.MaxDestinations {
			return constellation.Errorf(constellation.KindConflict, "there are %d notification rules, and no more are kept; remove one that nobody needs", n)
		}
		if err := s.db.InsertNotificationRule(ctx, &r); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_rule.create", notificationRuleTarget(&r), nil, viewNotificationRule(&r))
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// PutNotificationRule makes a rule what it is here. What waits to be told by it stays,
// unless it is turned off.
func (s *Service) PutNotificationRule(ctx context.Context, p Principal, id string, r constellation.NotificationRule) (*constellation.NotificationRule, error) {
	err := s.transact(ctx, func(s *Service) error {
		before, err := s.GetNotificationRule(ctx, p, id)
		if err != nil {
			return err
		}
		if err := s.checkNotificationRule(ctx, &r); err != nil {
			return err
		}
		r.ID, r.CreatedAt, r.CreatedBy, r.UpdatedAt, r.UpdatedBy = before.ID, before.CreatedAt, before.CreatedBy, s.now(), p.Username
		if err := s.db.UpdateNotificationRule(ctx, &r); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_rule.update", notificationRuleTarget(&r), viewNotificationRule(before), viewNotificationRule(&r))
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// DeleteNotificationRule removes a rule, and what it waits to tell.
func (s *Service) DeleteNotificationRule(ctx context.Context, p Principal, id string) error {
	return s.transact(ctx, func(s *Service) error {
		r, err := s.GetNotificationRule(ctx, p, id)
		if err != nil {
			return err
		}
		if err := s.db.DeleteNotificationRule(ctx, r.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "notification_rule.delete", notificationRuleTarget(r), viewNotificationRule(r), nil)
	})
}

func notificationRuleTarget(r *constellation.NotificationRule) target {
	return target{"notification_rule", r.ID, r.Name}
}

type notificationRuleView struct {
	Name          string                          `json:"name"`
	Kinds         []constellation.NoticeKind      `json:"kinds"`
	Satellites    constellation.SatelliteSelector `json:"satellites,omitzero"`
	Destinations  []string                        `json:"destinations"`
	Quiet         *constellation.QuietHours       `json:"quiet,omitempty"`
	GroupSeconds  int                             `json:"group_seconds"`
	RepeatSeconds int                             `json:"repeat_seconds"`
	Disabled      bool                            `json:"disabled"`
}

func viewNotificationRule(r *constellation.NotificationRule) notificationRuleView {
	return notificationRuleView{r.Name, r.Kinds, r.Selector, r.DestinationIDs, r.Quiet, r.GroupSeconds, r.RepeatSeconds, r.Disabled}
}
