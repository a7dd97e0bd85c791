package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var mirrorOrder = ordering{
	sorts: map[string]column{
		"source":     {"r.source", "text"},
		"created_at": {"r.created_at", "timestamptz"},
	},
	id:     column{"r.id", "uuid"},
	search: "r.source",
}

const mirrorColumns = `r.id, o.name AS owner, a.name, r.source, r.tags, r.keep, r.interval_seconds, r.disabled, r.webhook_sha256 IS NOT NULL AS has_webhook,
	r.round, r.leased_until, r.next_at, r.polled_at, r.failures, r.error, r.etag, r.listed, r.more, r.created_at, r.created_by, r.updated_at, r.updated_by,
	(SELECT count(*)::int FROM mirror_tags t WHERE t.mirror_id = r.id AND NOT t.gone) AS matched,
	(SELECT count(*)::int FROM mirror_tags t JOIN algorithm_versions v ON v.id = t.version_id WHERE t.mirror_id = r.id AND v.state = 'importing') AS importing,
	(SELECT count(*)::int FROM mirror_tags t LEFT JOIN algorithm_versions v ON v.id = t.version_id
		WHERE t.mirror_id = r.id AND NOT t.gone AND (v.state = 'failed' OR v.id IS NULL AND t.error <> '')) AS failed`

const mirrorTables = `mirrors r JOIN algorithms a ON a.id = r.algorithm_id JOIN owners o ON o.id = a.owner_id`

// Mirrors returns a page of the mirrors of an algorithm, of all with "".
func (db *DB) Mirrors(ctx context.Context, repository string, l List) ([]constellation.Mirror, error) {
	return list[constellation.Mirror](ctx, db, "list mirrors", listQuery{order: mirrorOrder, rows: selection{
		columns: mirrorColumns, from: mirrorTables, where: `(@repository = '' OR a.repository = @repository)`,
	}, args: pgx.NamedArgs{"repository": repository}}, l)
}

func noMirror(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no mirror %q", id)
}

// Mirror returns a mirror by its id.
func (db *DB) Mirror(ctx context.Context, id string) (*constellation.Mirror, error) {
	return collectOne[constellation.Mirror](ctx, db, "get mirror", `
		SELECT `+mirrorColumns+` FROM `+mirrorTables+` WHERE r.id = @id`, pgx.NamedArgs{"id": id}, noMirror(id))
}

// HoldMirror is Mirror, with its row held until the end of the transaction.
func (db *DB) HoldMirror(ctx context.Context, id string) (*constellation.Mirror, error) {
	if err := db.exec(ctx, "hold mirror", `SELECT FROM mirrors WHERE id = @id FOR UPDATE`, pgx.NamedArgs{"id": id}); err != nil {
		return nil, err
	}
	return db.Mirror(ctx, id)
}

// MirrorOf returns the id of the mirror of a source that an algorithm has, "" for none.
func (db *DB) MirrorOf(ctx context.Context, algorithmID, source string) (string, error) {
	ids, err := collectIDs(ctx, db, "look for a mirror", `SELECT id::text FROM mirrors WHERE algorithm_id = @algorithm AND source = @source`,
		pgx.NamedArgs{"algorithm": algorithmID, "source": source})
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// CountMirrors returns how many there are, and holds others from adding one until the
// transaction ends.
func (db *DB) CountMirrors(ctx context.Context) (int, error) {
	if err := db.Lock(ctx, "mirrors"); err != nil {
		return 0, err
	}
	return scalar[int](ctx, db, "count mirrors", `SELECT count(*)::int FROM mirrors`, nil)
}

func mirrorArgs(m *constellation.Mirror) pgx.NamedArgs {
	return pgx.NamedArgs{
		"id": m.ID, "source": m.Source, "tags": m.Tags, "keep": m.Keep, "interval": m.IntervalSeconds, "disabled": m.Disabled, "next": m.NextAt,
		"at": m.UpdatedAt, "by": m.UpdatedBy, "polled": m.PolledAt, "failures": m.Failures, "error": m.Error, "etag": m.ETag, "listed": m.Listed, "more": m.More,
		"round": m.Round,
	}
}

// InsertMirror adds a mirror of an algorithm.
func (db *DB) InsertMirror(ctx context.Context, algorithmID string, m *constellation.Mirror) error {
	args := mirrorArgs(m)
	args["algorithm"] = algorithmID
	return db.exec(ctx, "insert mirror", `
		INSERT INTO mirrors (id, algorithm_id, source, tags, keep, interval_seconds, disabled, next_at, created_at, created_by, updated_at, updated_by)
		VALUES (@id, @algorithm, @source, @tags, @keep, @interval, @disabled, @next, @at, @by, @at, @by)`, args)
}

// UpdateMirror makes a mirror's rule what it is here. What was read of the list of tags
// does not hold for other patterns.
func (db *DB) UpdateMirror(ctx context.Context, m *constellation.Mirror) error {
	return db.execOne(ctx, "update mirror", `
		UPDATE mirrors SET tags = @tags, keep = @keep, interval_seconds = @interval, disabled = @disabled, next_at = @next, etag = '',
			failures = 0, updated_at = @at, updated_by = @by
		WHERE id = @id`, mirrorArgs(m), noMirror(m.ID))
}

// DeleteMirror removes a mirror.
func (db *DB) DeleteMirror(ctx context.Context, id string) error {
	return db.execOne(ctx, "delete mirror", `DELETE FROM mirrors WHERE id = @id`, pgx.NamedArgs{"id": id}, noMirror(id))
}

// SetMirrorSecret sets the SHA-256 of the secret by which a mirror is told of pushes;
// nil takes it away.
func (db *DB) SetMirrorSecret(ctx context.Context, id string, sum []byte) error {
	return db.execOne(ctx, "set secret of mirror", `UPDATE mirrors SET webhook_sha256 = @sum WHERE id = @id`, pgx.NamedArgs{"id": id, "sum": sum}, noMirror(id))
}

// MirrorSecret returns the SHA-256 of the secret by which a mirror is told of pushes,
// nil when there is no such mirror or secret.
func (db *DB) MirrorSecret(ctx context.Context, id string) ([]byte, error) {
	type row struct{ Sum []byte }
	rows, err := collect[row](ctx, db, "get secret of mirror", `SELECT webhook_sha256 AS sum FROM mirrors WHERE id = @id AND NOT disabled`, pgx.NamedArgs{"id": id})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].Sum, nil
}

// MirrorPoll is a poll that has begun.
type MirrorPoll struct {
	ID    string
	Round int
}

// BeginPolls begins the polls of up to most mirrors that are due, each of which nobody
// else polls until the lease ends.
func (db *DB) BeginPolls(ctx context.Context, now, lease time.Time, most int) ([]MirrorPoll, error) {
	return collect[MirrorPoll](ctx, db, "begin polls", `
		UPDATE mirrors SET round = round + 1, leased_until = @lease, again = false
		WHERE id IN (
			SELECT id FROM mirrors WHERE NOT disabled AND next_at <= @now AND (leased_until IS NULL OR leased_until <= @now)
			ORDER BY next_at LIMIT @most FOR UPDATE SKIP LOCKED)
		RETURNING id, round`, pgx.NamedArgs{"now": now, "lease": lease, "most": most})
}

// AskPoll has a mirror polled as soon as the last poll is gap ago, and after the one
// that is under way.
func (db *DB) AskPoll(ctx context.Context, id string, now time.Time, gap time.Duration) error {
	return db.execOne(ctx, "ask for a poll", `
		UPDATE mirrors SET again = leased_until IS NOT NULL AND leased_until > @now,
			next_at = least(next_at, greatest(@now, coalesce(polled_at + @gap, @now)))
		WHERE id = @id`, pgx.NamedArgs{"id": id, "now": now, "gap": gap}, noMirror(id))
}

// KeepPoll reports whether a round of a mirror goes on, and keeps others from it until
// the lease ends.
func (db *DB) KeepPoll(ctx context.Context, id string, round int, lease time.Time) (bool, error) {
	tag, err := db.run(ctx, `UPDATE mirrors SET leased_until = @lease WHERE id = @id AND round = @round AND leased_until IS NOT NULL AND NOT disabled`,
		pgx.NamedArgs{"id": id, "round": round, "lease": lease})
	return err == nil && tag.RowsAffected() > 0, translate(err, "keep poll")
}

// EndPoll writes what a round of a mirror came to; soon is when it is polled again if
// that was asked for meanwhile.
func (db *DB) EndPoll(ctx context.Context, m *constellation.Mirror, soon time.Time) error {
	args := mirrorArgs(m)
	args["soon"] = soon
	return db.exec(ctx, "end poll", `
		UPDATE mirrors SET leased_until = NULL, next_at = CASE WHEN again THEN least(@next::timestamptz, @soon::timestamptz) ELSE @next::timestamptz END, again = false, polled_at = @polled,
			failures = @failures, error = @error, etag = @etag, listed = @listed, more = @more
		WHERE id = @id AND round = @round`, args)
}

// NoteMirrorTags notes which tags that match a repository has now. Those that it had are
// gone; what became of them stays.
func (db *DB) NoteMirrorTags(ctx context.Context, id string, tags []string, now time.Time) error {
	args := pgx.NamedArgs{"id": id, "tags": tags, "now": now}
	err := db.exec(ctx, "note tags", `
		INSERT INTO mirror_tags (mirror_id, tag, seen_at) SELECT @id, t, @now FROM unnest(@tags::text[]) AS t
		ON CONFLICT (mirror_id, tag) DO UPDATE SET gone = false WHERE mirror_tags.gone`, args)
	if err != nil {
		return err
	}
	err = db.exec(ctx, "forget tags", `DELETE FROM mirror_tags WHERE mirror_id = @id AND digest = '' AND tag <> ALL (@tags::text[])`, args)
	if err != nil {
		return err
	}
	return db.exec(ctx, "note tags that are gone", `UPDATE mirror_tags SET gone = true WHERE mirror_id = @id AND NOT gone AND tag <> ALL (@tags::text[])`, args)
}

const mirrorTagColumns = `t.tag, t.digest, t.version_id::text AS version_id, coalesce(v.git_hash, '') AS git_hash, coalesce(v.state, '') AS state, t.seen_at, t.gone,
	CASE WHEN v.state = 'ready' THEN '' WHEN v.id IS NOT NULL THEN coalesce(i.error, '') ELSE t.error END AS error`

const mirrorTagTables = `mirror_tags t LEFT JOIN algorithm_versions v ON v.id = t.version_id LEFT JOIN algorithm_imports i ON i.version_id = v.id`

// MirrorTags returns the tags of a mirror that match, the newest seen first, up to most.
func (db *DB) MirrorTags(ctx context.Context, id string, most int) ([]constellation.MirrorTag, error) {
	return collect[constellation.MirrorTag](ctx, db, "get tags of mirror", `
		SELECT `+mirrorTagColumns+` FROM `+mirrorTagTables+` WHERE t.mirror_id = @id ORDER BY t.gone, t.seen_at DESC, t.tag LIMIT @most`,
		pgx.NamedArgs{"id": id, "most": most})
}

// SetMirrorTag notes what became of a tag; versionID "" is nothing.
func (db *DB) SetMirrorTag(ctx context.Context, id, tag, digest, versionID, why string) error {
	return db.exec(ctx, "set tag of mirror", `
		UPDATE mirror_tags SET digest = @digest, version_id = nullif(@version, '')::uuid, error = @error WHERE mirror_id = @id AND tag = @tag`,
		pgx.NamedArgs{"id": id, "tag": tag, "digest": digest, "version": versionID, "error": why})
}

// VersionOfDigest returns the version of an algorithm that has, or is to have, the image
// of a digest; "" is none.
func (db *DB) VersionOfDigest(ctx context.Context, algorithmID, digest string) (string, error) {
	ids, err := collectIDs(ctx, db, "look for a version by digest", `
		SELECT v.id::text FROM algorithm_versions v LEFT JOIN algorithm_imports i ON i.version_id = v.id
		WHERE v.algorithm_id = @algorithm AND (v.digest = @digest OR v.state <> 'ready' AND (i.digest = @digest OR right(i.image, 72) = '@' || @digest))
		ORDER BY v.state = 'ready' DESC, v.created_at LIMIT 1`, pgx.NamedArgs{"algorithm": algorithmID, "digest": digest})
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// MirrorCount is how many mirrors are in a state.
type MirrorCount struct {
	State string
	Count int64
}

// MirrorCounts returns how many mirrors there are, by state.
func (db *DB) MirrorCounts(ctx context.Context) ([]MirrorCount, error) {
	return collect[MirrorCount](ctx, db, "count mirrors", `
		SELECT CASE WHEN disabled THEN 'disabled' WHEN error <> '' THEN 'failing' WHEN polled_at IS NULL THEN 'waiting' ELSE 'watching' END AS state, count(*) AS count
		FROM mirrors GROUP BY 1`, nil)
}
