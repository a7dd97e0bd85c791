package space

import (
	"context"
	"log/slog"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// DefaultTouchEvery is how often a blob is noted as touched that is asked for again
// and again. It is much shorter than any grace, so that what was told to be there stays.
const DefaultTouchEvery = time.Minute

// Ledger is the books of the registry's storage, on a database or in a transaction.
type Ledger struct {
	DB         *postgres.DB
	Store      Store // to count and remove from; nil is not at hand
	TouchEvery time.Duration
	OnLost     func(context.Context, constellation.LostContent) // is told what a count finds lost; nil for nobody
	Now        func() time.Time
	Log        *slog.Logger
}

// transact runs f with a Ledger whose changes happen together or not at all.
func (l *Ledger) transact(ctx context.Context, f func(*Ledger) error) error {
	return l.DB.Transact(ctx, func(tx *postgres.DB) error {
		bound := *l
		bound.DB = tx
		return f(&bound)
	})
}

// now is the mothership's clock, as exact as the database keeps it.
func (l *Ledger) now() time.Time { return l.Now().UTC().Truncate(time.Microsecond) }
