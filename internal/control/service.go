// Package control is the mothership's use cases: each method authorises,
// validates and then changes the database in one transaction with its audit
// row. The browser, the REST API and the registry all come through here.
package control

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/signon"
	"github.com/constellation-serving/constellation/internal/space"
)

// Options are what a Service is made of. Now and Log may be nil.
type Options struct {
	DB          *postgres.DB
	Sealer      *auth.Sealer
	Content     bundle.Content                               // manifests of the registry
	SystemImage func(context.Context) (bundle.System, error) // the satellite's system image, in the registry
	SignOn      *signon.Providers                            // by which people sign in; nil is none
	Store       space.Store                                  // the registry's storage, to remove from; nil is not at hand
	Collection  space.CollectOptions                         // what a garbage collection leaves that nobody said more of
	// StartCollection has a garbage collection done in the background, once the
	// transaction commits; nil cannot.
	StartCollection func(ctx context.Context, db *postgres.DB, by string) error
	// StartImport has an import done in the background, once the transaction commits;
	// nil cannot.
	StartImport func(ctx context.Context, db *postgres.DB, versionID string, generation int) error
	// StartPoll has a mirror polled in the background, once the transaction commits; nil
	// leaves it to other servers.
	StartPoll func(ctx context.Context, db *postgres.DB, mirrorID string, round int) error
	// CheckRegistry asks a registry elsewhere whether it lets us in, and returns why not;
	// nil cannot.
	CheckRegistry func(ctx context.Context, host string) error
	// FreeSpace returns how much room the registry's storage has, and whether that is
	// known; nil does not know.
	FreeSpace func(context.Context) (int64, bool)
	PublicURL string // where satellites and operators reach this mothership
	Version   string
	// HeartbeatInterval is how often launches are told to report, in whole
	// seconds; 0 is 30 s.
	HeartbeatInterval time.Duration
	AuditRetention    time.Duration // of rows of the audit log; 0 keeps all
	AuditStreams      []AuditStream
	Notifications     Notifications
	Backup            BackupPlan // by the clock
	// TouchEvery is how often what is asked for again and again is noted as asked
	// for; 0 is a minute.
	TouchEvery time.Duration
	Now        func() time.Time
	Log        *slog.Logger
}

// Service is the use cases, on the database or, inside Idempotent, on one
// transaction of it. It is safe for concurrent use, except inside one.
type Service struct {
	options Options
	db      *postgres.DB // the database, or the transaction
	memory  *memory
}

// memory is what every copy of a Service shares.
type memory struct {
	passwords  *auth.Passwords
	workloads  *signon.Workloads
	bundles    *bundleCache
	heartbeats *heartbeats
	feed       *feed
	lost       lostMemory
	startedAt  time.Time

	mu      sync.Mutex
	signer  *signer // nil until first used
	stats   Stats
	statsAt time.Time

	launches   []LaunchTotal
	launchesAt time.Time
}

// New makes a Service.
func New(options Options) *Service {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.HeartbeatInterval = options.HeartbeatInterval.Truncate(time.Second); options.HeartbeatInterval <= 0 {
		options.HeartbeatInterval = defaultPeriod
	}
	if options.TouchEvery <= 0 {
		options.TouchEvery = space.DefaultTouchEvery
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{options: options, db: options.DB, memory: &memory{
		startedAt:  options.Now().UTC(),
		passwords:  auth.NewPasswords(runtime.GOMAXPROCS(0)),
		workloads:  signon.NewWorkloads(options.Now, options.Log),
		bundles:    newBundleCache(),
		heartbeats: newHeartbeats(),
		feed:       newFeed(),
	}}
}

// now is the mothership's clock, as exact as the database keeps it.
func (s *Service) now() time.Time { return s.options.Now().UTC().Truncate(time.Microsecond) }

// transact runs f with a Service whose changes happen together or not at all.
func (s *Service) transact(ctx context.Context, f func(*Service) error) error {
	return s.db.Transact(ctx, func(tx *postgres.DB) error {
		bound := *s
		bound.db = tx
		return f(&bound)
	})
}

// Ready returns nil when the database answers and has the schema that this
// binary knows.
func (s *Service) Ready(ctx context.Context) error { return s.db.CheckSchema(ctx) }

// Stats are the mothership's totals.
type Stats = postgres.Counts

// statsAge is how old Stats may be: counting is not free.
const statsAge = time.Minute

// Stats returns the totals for metrics, at most a minute old.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if now := s.now(); s.memory.statsAt.IsZero() || now.Sub(s.memory.statsAt) >= statsAge {
		counts, err := s.options.DB.Counts(ctx)
		if err != nil {
			return Stats{}, err
		}
		s.memory.stats, s.memory.statsAt = *counts, now
	}
	return s.memory.stats, nil
}

// PurgeJob is the kind of the job that calls Purge.
const PurgeJob = "purge"

// Purge removes expired sessions, answers of repeated requests older than a
// day, old login failures and what the audit log no longer keeps; one server calls it once an hour.
func (s *Service) Purge(ctx context.Context) error {
	now := s.now()
	if err := s.db.PurgeSatelliteDrafts(ctx, now.Add(-draftMemory)); err != nil {
		return err
	}
	if err := s.trimAudit(ctx); err != nil {
		return err
	}
	if err := s.db.PurgeLaunchBundles(ctx, now.Add(-bundleLifetime)); err != nil {
		return err
	}
	return s.db.Purge(ctx, now, now.Add(-answerLifetime), now.Add(-failureMemory))
}

// parseID returns a UUID in its usual form, or an error that it names nothing.
func parseID(what, id string) (string, error) {
	if len(id) == 36 {
		if parsed, err := uuid.Parse(id); err == nil {
			return parsed.String(), nil
		}
	}
	if len(id) > 60 {
		id = strings.ToValidUTF8(id[:60], "") + "…"
	}
	return "", constellation.Errorf(constellation.KindNotFound, "there is no %s %q: its id is a UUID", what, id)
}

// checkExpiry adds an error to v when expires_at is not still to come, or is too far away
// to be written as RFC 3339.
func checkExpiry(v *constellation.Validation, at *time.Time, now time.Time) {
	const field = "expires_at"
	switch {
	case at == nil:
	case !at.After(now):
		v.Add(field, "the expiry %s has passed; give a time that is to come", at.UTC().Format(time.RFC3339))
	case at.UTC().Year() > 9999:
		v.Add(field, "the expiry is too far away; give a year up to 9999")
	}
}
