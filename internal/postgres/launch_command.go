package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const commandColumns = `id, action, request_ids, created_at, created_by, done_at, done, error`

// InsertCommand adds what somebody asked to be done with a launch's dead
// letters, and forgets all but the newest of what was done.
func (db *DB) InsertCommand(ctx context.Context, launchID string, c *constellation.QueueCommand, keep int) error {
	err := db.exec(ctx, "insert launch command", `
		INSERT INTO launch_commands (id, launch_id, action, request_ids, created_at, created_by)
		VALUES (@id, @launch_id, @action, @request_ids, @created_at, @created_by)`,
		pgx.NamedArgs{"id": c.ID, "launch_id": launchID, "action": c.Action, "request_ids": c.RequestIDs, "created_at": c.CreatedAt, "created_by": c.CreatedBy})
	if err != nil {
		return err
	}
	return db.exec(ctx, "forget launch commands", `
		DELETE FROM launch_commands WHERE id IN (
			SELECT id FROM launch_commands WHERE launch_id = @launch_id ORDER BY created_at DESC, id DESC OFFSET @keep)`,
		pgx.NamedArgs{"launch_id": launchID, "keep": keep})
}

// Commands returns what was asked of a launch, newest first.
func (db *DB) Commands(ctx context.Context, launchID string) ([]constellation.QueueCommand, error) {
	return collect[constellation.QueueCommand](ctx, db, "list launch commands", `
		SELECT `+commandColumns+` FROM launch_commands WHERE launch_id = @launch_id ORDER BY created_at DESC, id DESC`,
		pgx.NamedArgs{"launch_id": launchID})
}

// OpenCommands returns, by launch, what was asked of it since a time and is not
// done, oldest first.
func (db *DB) OpenCommands(ctx context.Context, launchIDs []string, since time.Time) (map[string][]constellation.QueueCommand, error) {
	type row struct {
		LaunchID string
		constellation.QueueCommand
	}
	list, err := collect[row](ctx, db, "list open launch commands", `
		SELECT launch_id, `+commandColumns+` FROM launch_commands
		WHERE launch_id = ANY (@ids::uuid[]) AND done_at IS NULL AND created_at > @since ORDER BY created_at, id`,
		pgx.NamedArgs{"ids": launchIDs, "since": since})
	commands := map[string][]constellation.QueueCommand{}
	for _, r := range list {
		commands[r.LaunchID] = append(commands[r.LaunchID], r.QueueCommand)
	}
	return commands, err
}

// EndedCommand is what a launch says became of a command.
type EndedCommand struct {
	LaunchID string
	constellation.CommandEnd
}

// EndCommands keeps what became of commands, and returns the launches whose
// commands ended with it.
func (db *DB) EndCommands(ctx context.Context, ends []EndedCommand, at time.Time) ([]string, error) {
	if len(ends) == 0 {
		return nil, nil
	}
	return collectIDs(ctx, db, "end launch commands", `
		UPDATE launch_commands c SET done_at = @at, done = e.done, error = e.error
		FROM (SELECT DISTINCT ON (id) id, launch_id, done, error FROM unnest(@ids::uuid[], @launches::uuid[], @done::int[], @errors::text[]) AS u(id, launch_id, done, error)) e
		WHERE c.id = e.id AND c.launch_id = e.launch_id AND c.done_at IS NULL
		RETURNING c.launch_id`,
		pgx.NamedArgs{
			"at":       at,
			"ids":      each(ends, func(e *EndedCommand) string { return e.ID }),
			"launches": each(ends, func(e *EndedCommand) string { return e.LaunchID }),
			"done":     each(ends, func(e *EndedCommand) int { return e.Done }),
			"errors":   each(ends, func(e *EndedCommand) string { return e.Error }),
		})
}
