package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// NoticesWait reports whether there is a notice that nobody has told yet.
func (db *DB) NoticesWait(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "look for notices", `SELECT EXISTS (SELECT FROM notices)`, nil)
}

// TryNotices takes the right to match and gather notices until the end of the
// transaction; it reports false when another server has it.
func (db *DB) TryNotices(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "take the notices", `SELECT pg_try_advisory_xact_lock(hashtextextended('notices', 0))`, nil)
}

const noticeColumns = `n.id, n.at, n.kind, n.subject_kind, n.subject_id, n.subject_name, n.satellite_id, n.satellite_name, n.text`

// NewNotices returns notices that were matched with no rule yet, oldest first, with
// the labels that what they are of has now.
func (db *DB) NewNotices(ctx context.Context, limit int) ([]constellation.Notice, error) {
	return collect[constellation.Notice](ctx, db, "get new notices", `
		SELECT `+noticeColumns+`, coalesce(s.labels, '{}') || coalesce(l.labels, '{}') AS labels
		FROM notices n LEFT JOIN satellites s ON s.id = n.satellite_id
			LEFT JOIN launches l ON l.id = CASE WHEN n.subject_kind = 'launch' AND n.subject_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN n.subject_id::uuid END
		WHERE NOT n.routed ORDER BY n.id LIMIT @limit`, pgx.NamedArgs{"limit": limit})
}

// NoticeMatch is a notice that waits to be told by a rule.
type NoticeMatch struct {
	RuleID    string
	NoticeID  int64
	Urgent    bool
	NotBefore time.Time
}

// InsertNoticeMatches has notices wait to be told, and takes all of notices for
// matched; those that no rule is for are gone.
func (db *DB) InsertNoticeMatches(ctx context.Context, matches []NoticeMatch, notices []constellation.Notice) error {
	err := db.exec(ctx, "insert matches of notices", `
		INSERT INTO notice_matches (rule_id, notice_id, urgent, not_before)
		SELECT m.rule, m.notice, m.urgent, m.not_before FROM unnest(@rules::uuid[], @notices::bigint[], @urgent::bool[], @not_before::timestamptz[]) AS m(rule, notice, urgent, not_before)
			JOIN notification_rules r ON r.id = m.rule
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{
			"rules":      each(matches, func(m *NoticeMatch) string { return m.RuleID }),
			"notices":    each(matches, func(m *NoticeMatch) int64 { return m.NoticeID }),
			"urgent":     each(matches, func(m *NoticeMatch) bool { return m.Urgent }),
			"not_before": each(matches, func(m *NoticeMatch) time.Time { return m.NotBefore }),
		})
	if err != nil {
		return err
	}
	ids := each(notices, func(n *constellation.Notice) int64 { return n.ID })
	if err := db.exec(ctx, "mark notices as matched", `UPDATE notices SET routed = true WHERE id = ANY (@ids::bigint[])`, pgx.NamedArgs{"ids": ids}); err != nil {
		return err
	}
	return db.DropNotices(ctx, ids)
}

// DropNotices removes those of the notices that no rule waits to tell.
func (db *DB) DropNotices(ctx context.Context, ids []int64) error {
	return db.exec(ctx, "remove notices", `
		DELETE FROM notices n WHERE n.id = ANY (@ids::bigint[]) AND n.routed AND NOT EXISTS (SELECT FROM notice_matches m WHERE m.notice_id = n.id)`, pgx.NamedArgs{"ids": ids})
}

// DropForgotten removes notices that rules which were removed waited to tell.
func (db *DB) DropForgotten(ctx context.Context) error {
	return db.exec(ctx, "remove forgotten notices", `
		DELETE FROM notices n WHERE n.routed AND NOT EXISTS (SELECT FROM notice_matches m WHERE m.notice_id = n.id)`, nil)
}

// WaitingRule is since when a rule has something to tell.
type WaitingRule struct {
	RuleID string
	Urgent bool
	Since  time.Time
}

// WaitingRules returns which rules have something to tell, by two looks into an index a
// rule. What may not be told before long after now is of a clock that was set back, and
// counts as waiting.
func (db *DB) WaitingRules(ctx context.Context) ([]WaitingRule, error) {
	return collect[WaitingRule](ctx, db, "look for what waits to be told", `
		SELECT r.id::text AS rule_id, u.urgent, m.not_before AS since
		FROM notification_rules r CROSS JOIN (VALUES (false), (true)) AS u(urgent)
			CROSS JOIN LATERAL (SELECT not_before FROM notice_matches WHERE rule_id = r.id AND urgent = u.urgent ORDER BY not_before LIMIT 1) m
		WHERE NOT r.disabled`, nil)
}

// TakeMatches takes what a rule may tell by a time, oldest first.
func (db *DB) TakeMatches(ctx context.Context, ruleID string, by time.Time, urgentOnly bool, limit int) ([]constellation.Notice, error) {
	return collect[constellation.Notice](ctx, db, "take what waits to be told", `
		WITH due AS (
			SELECT notice_id FROM notice_matches WHERE rule_id = @rule AND not_before <= @by AND (urgent OR NOT @urgent_only)
			ORDER BY not_before, notice_id LIMIT @limit),
		taken AS (DELETE FROM notice_matches m USING due WHERE m.rule_id = @rule AND m.notice_id = due.notice_id RETURNING m.notice_id)
		SELECT `+noticeColumns+`, '{}'::jsonb AS labels FROM taken JOIN notices n ON n.id = taken.notice_id ORDER BY n.id`,
		pgx.NamedArgs{"rule": ruleID, "by": by, "urgent_only": urgentOnly, "limit": limit})
}

// ToldSubject is what a rule told last of a thing that comes and goes.
type ToldSubject struct {
	RuleID, Subject string
	Kind            constellation.NoticeKind
	ToldAt          time.Time
}

// ToldSubjects returns what rules told last of things.
func (db *DB) ToldSubjects(ctx context.Context, ruleIDs, subjects []string) ([]ToldSubject, error) {
	return collect[ToldSubject](ctx, db, "get what was told", `
		SELECT rule_id::text AS rule_id, subject, kind, told_at FROM notice_subjects WHERE rule_id = ANY (@rules::uuid[]) AND subject = ANY (@subjects)`,
		pgx.NamedArgs{"rules": ruleIDs, "subjects": subjects})
}

// PutToldSubjects notes what a rule told of things.
func (db *DB) PutToldSubjects(ctx context.Context, told []ToldSubject) error {
	if len(told) == 0 {
		return nil
	}
	return db.exec(ctx, "note what was told", `
		INSERT INTO notice_subjects (rule_id, subject, kind, told_at)
		SELECT * FROM unnest(@rules::uuid[], @subjects::text[], @kinds::text[], @at::timestamptz[])
		ON CONFLICT (rule_id, subject) DO UPDATE SET kind = excluded.kind, told_at = excluded.told_at`,
		pgx.NamedArgs{
			"rules":    each(told, func(t *ToldSubject) string { return t.RuleID }),
			"subjects": each(told, func(t *ToldSubject) string { return t.Subject }),
			"kinds":    each(told, func(t *ToldSubject) string { return string(t.Kind) }),
			"at":       each(told, func(t *ToldSubject) time.Time { return t.ToldAt }),
		})
}
