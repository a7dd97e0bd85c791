package jobs

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// Queue takes jobs. It is safe for concurrent use.
type Queue struct{ client *river.Client[pgx.Tx] }

// NewQueue makes the queue of a database; it runs nothing.
func NewQueue(db *postgres.DB) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(db.Pool()), &river.Config{Logger: quiet(nil)})
	if err != nil {
		return nil, fmt.Errorf("make the queue of jobs: %w", err)
	}
	return &Queue{client: client}, nil
}

// Insert has a job done. When db is a transaction, the job is there once that
// commits, and not at all when it does not. It returns the job's id; options may be
// nil. With options that make it unique, the id may be that of one which is there.
func (q *Queue) Insert(ctx context.Context, db *postgres.DB, args river.JobArgs, options *river.InsertOpts) (int64, error) {
	var result *rivertype.JobInsertResult
	var err error
	options = traced(ctx, options)
	if tx := db.Tx(); tx != nil {
		result, err = q.client.InsertTx(ctx, tx, args, options)
	} else {
		result, err = q.client.Insert(ctx, args, options)
	}
	if err != nil {
		return 0, postgres.Translate(err, "insert a job "+args.Kind())
	}
	return result.Job.ID, nil
}
