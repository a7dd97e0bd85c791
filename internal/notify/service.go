package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/webhook"
)

// Config is what a Service is made of. Now and Log may be nil.
type Config struct {
	DB        *postgres.DB
	Sealer    *auth.Sealer
	Queue     *jobs.Queue
	PublicURL string    // of the mothership, for links in messages
	Mail      *Mail     // nil: no mail is sent
	Check     DialCheck // of addresses that destinations name; nil lets public ones pass alone
	Now       func() time.Time
	Log       *slog.Logger
}

// DialCheck returns why an address of a host is not connected to.
type DialCheck func(host string, at netip.Addr) error

// Service matches, gathers and delivers notices. It is safe for concurrent use.
type Service struct {
	config  Config
	sender  *sender
	metrics *metrics
}

// How messages are delivered.
const (
	giveUpAfter  = 72 * time.Hour
	giveUpTest   = time.Minute
	mostWaiting  = 200 // messages for one destination
	deliverQueue = "notify"

	// DeliverTimeout bounds one attempt.
	DeliverTimeout = time.Minute
)

// SecretPlace is what the secret of a destination is sealed for.
func SecretPlace(destinationID string) string { return "notification_destinations/" + destinationID }

// CheckSecret returns what is wrong with the secret of a webhook.
func CheckSecret(secret string) error {
	_, err := webhook.ParseSecret(secret)
	return err
}

// NewSecret makes the secret of a webhook.
func NewSecret() string {
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // never fails
	return webhook.FormatSecret(key)
}

// DeliverJob delivers a message.
type DeliverJob struct {
	DeliveryID string `json:"delivery_id"`
}

// Kind is part of river.JobArgs.
func (DeliverJob) Kind() string { return "notification_deliver" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (DeliverJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: deliverQueue, MaxAttempts: 100, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
	}}}
}

// Enqueue has a pending delivery delivered once db, a transaction, commits.
func Enqueue(ctx context.Context, queue *jobs.Queue, db *postgres.DB, deliveryID string) error {
	_, err := queue.Insert(ctx, db, DeliverJob{DeliveryID: deliveryID}, nil)
	return err
}

// NewTest makes the delivery by which somebody tries a destination.
func NewTest(d *constellation.Destination, by string, now time.Time) (*constellation.Delivery, *constellation.NoticeMessage, time.Time) {
	m := &constellation.NoticeMessage{Title: "A test by " + plain(by, 60), Count: 1, Test: true, Notices: []constellation.Notice{{
		At: now, Kind: constellation.NoticeTest, SubjectKind: "destination", SubjectID: d.ID, SubjectName: d.Name,
		Text: "this destination can be told; nothing happened",
	}}}
	delivery := &constellation.Delivery{
		ID: uuid.NewString(), DestinationID: &d.ID, DestinationName: d.Name, Title: m.Title, Notices: 1, State: constellation.DeliveryPending, CreatedAt: now,
	}
	return delivery, m, now.Add(giveUpTest)
}

// Resend makes a finished delivery pending again; false is that it is pending.
func Resend(ctx context.Context, db *postgres.DB, id string, now time.Time) (bool, error) {
	return db.ResendDelivery(ctx, id, now.Add(giveUpAfter))
}

// New makes a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{config: c, sender: newSender(c), metrics: newMetrics(c.DB)}
}

func (s *Service) now() time.Time { return s.config.Now().UTC().Truncate(time.Microsecond) }

// secretOf opens what lets one post to a destination.
func (s *Service) secretOf(ctx context.Context, id string) (constellation.DestinationSecret, error) {
	var secret constellation.DestinationSecret
	sealed, err := s.config.DB.DestinationSealed(ctx, id)
	if err != nil || len(sealed) == 0 {
		return secret, err
	}
	data, err := s.config.Sealer.Open(SecretPlace(id), sealed)
	if err != nil {
		return secret, fmt.Errorf("open the secret of destination %s: %w", id, err)
	}
	if err := json.Unmarshal(data, &secret); err != nil {
		return secret, fmt.Errorf("read the secret of destination %s: %w", id, err)
	}
	return secret, nil
}
