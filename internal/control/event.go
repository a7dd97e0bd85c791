package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// EventQuery asks for a page of the audit log; q looks at target names.
type EventQuery struct {
	ListQuery
	Actor, Action, TargetKind, TargetID string
	Since, Until                        *time.Time
}

var eventListing = listing[constellation.Event]{
	name: "events", fallback: "-at",
	sorts: map[string]sortKey[constellation.Event]{
		"at": byTime(func(e *constellation.Event) time.Time { return e.At }),
	},
	id: byNumber(func(e *constellation.Event) int64 { return e.ID }),
}

// ListEvents returns a page of the audit log, newest first or by at; what was
// before and after only when the query expands. Admins only.
func (s *Service) ListEvents(ctx context.Context, p Principal, q EventQuery) (Page[constellation.Event], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading the audit log"); err != nil {
		return Page[constellation.Event]{}, err
	}
	var v constellation.Validation
	for _, filter := range []struct{ field, value string }{
		{"actor", q.Actor}, {"action", q.Action}, {"target_kind", q.TargetKind}, {"target_id", q.TargetID},
	} {
		if clean(filter.value, MaxQuery) != filter.value {
			v.Add(filter.field, "%s has at most %d characters and no control characters", filter.field, MaxQuery)
		}
	}
	if q.Since != nil && q.Until != nil && !q.Since.Before(*q.Until) {
		v.Add("until", "the end of the time is not after its start; swap them, or leave one out")
	}
	if err := malformed(v.Err()); err != nil {
		return Page[constellation.Event]{}, err
	}
	list, err := eventListing.parse(q.ListQuery, q.Actor, q.Action, q.TargetKind, q.TargetID, instant(q.Since), instant(q.Until))
	if err != nil {
		return Page[constellation.Event]{}, err
	}
	rows, err := s.db.Events(ctx, postgres.EventFilter{
		Actor: q.Actor, Action: q.Action, TargetKind: q.TargetKind, TargetID: q.TargetID, Since: q.Since, Until: q.Until,
	}, list)
	page := eventListing.page(list, rows)
	if err != nil || !q.Expand {
		return page, err
	}
	err = fill(&page, func(rows []constellation.Event) error { return s.db.LoadChanges(ctx, rows) },
		func(e *constellation.Event) int { return len(e.Before) + len(e.After) })
	return page, err
}

// instant is a time as a part of a query; "" is none.
func instant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// exportPage is how many rows of the audit log an export reads at once.
const exportPage = maxLimit

// ExportEvents returns every row that a query finds to yield, in its order and
// from its marker on, a page at a time: an export of any size takes little
// memory and holds no transaction open. An error of yield ends it.
func (s *Service) ExportEvents(ctx context.Context, p Principal, q EventQuery, yield func([]constellation.Event) error) error {
	q.Expand = true
	for q.Limit = exportPage; ; {
		page, err := s.ListEvents(ctx, p, q)
		if err != nil {
			return err
		}
		if err := yield(page.Items); err != nil {
			return err
		}
		if page.Marker == "" {
			return nil
		}
		q.Marker = page.Marker
	}
}

// EventActions are what the audit log speaks of, for a list to choose from.
func EventActions() []string {
	return []string{
		"account.create", "account.delete", "account.invite", "account.login", "account.login_failed", "account.sign_on_ended", "api_key.exchange", "api_key.exchange_refused", "token_rule.create", "token_rule.delete", "token_rule.update", "account.update",
		"algorithm_version.create", "algorithm_version.delete", "algorithm_version.import", "algorithm_version.import_cancel", "algorithm_version.import_failed", "algorithm_version.update",
		"backup.fail", "backup.restore", "backup.take", "bundle.download", "certificate.obtain", "quota.remove", "quota.set",
		"registry.collect", "registry.collect_request", "registry.create", "registry.delete", "registry.update", "retention.remove", "retention.set",
		"secret_key.rotate", "signing_key.rotate", "api_key.create", "api_key.revoke", "launch.create", "launch.delete", "launch.drop_dead_letters", "launch.retry_dead_letters", "launch.update",
		"mirror.create", "mirror.delete", "mirror.make_webhook", "mirror.poll", "mirror.remove_webhook", "mirror.update",
		"notification_delivery.resend", "notification_destination.create", "notification_destination.delete", "notification_destination.test", "notification_destination.update",
		"notification_rule.create", "notification_rule.delete", "notification_rule.update",
		"satellite.create", "satellite.delete", "satellite.update", "satellite_key.create", "satellite_key.revoke",
		"satellite_version.create", "satellite_version.delete", "session.revoke", "session.revoke_all",
	}
}

// EventNames returns the names of the satellites and API keys with these ids, as
// the audit log last knew them. Admins only.
func (s *Service) EventNames(ctx context.Context, p Principal, ids []string) (map[string]string, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading the audit log"); err != nil {
		return nil, err
	}
	return s.db.EventNames(ctx, ids)
}
