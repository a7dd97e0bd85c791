package notify

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// world is a Service on a real database, at a time that tests set.
type world struct {
	*Service
	t     *testing.T
	db    *postgres.DB
	clock *atomic.Int64 // seconds after start
}

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	db := postgrestest.New(t)
	queue, err := jobs.NewQueue(db)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, clock: &atomic.Int64{}}
	w.Service = New(Config{
		DB: db, Sealer: sealer, Queue: queue, PublicURL: "https://mothership.example.com", Now: w.now,
		Check: func(string, netip.Addr) error { return nil },
	})
	return w
}

func (w *world) now() time.Time           { return start.Add(time.Duration(w.clock.Load()) * time.Second) }
func (w *world) after(d time.Duration)    { w.clock.Add(int64(d / time.Second)) }
func (w *world) do(err error)             { w.t.Helper(); must(w.t, err) }
func (w *world) context() context.Context { return w.t.Context() }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// destination makes one.
func (w *world) destination(kind constellation.DestinationKind, address string, secret constellation.DestinationSecret) *constellation.Destination {
	w.t.Helper()
	d := &constellation.Destination{ID: uuid.NewString(), Name: "destination " + uuid.NewString(), Kind: kind, Address: address, CreatedAt: w.now(), CreatedBy: "neo"}
	data, err := json.Marshal(secret)
	must(w.t, err)
	w.do(w.db.InsertDestination(w.context(), d, w.config.Sealer.Seal(SecretPlace(d.ID), data)))
	return d
}

// rule makes one that tells a destination.
func (w *world) rule(r constellation.NotificationRule, to ...*constellation.Destination) *constellation.NotificationRule {
	w.t.Helper()
	r.ID, r.UpdatedAt, r.UpdatedBy = uuid.NewString(), w.now(), "neo"
	if r.Name == "" {
		r.Name = "rule " + r.ID
	}
	for _, d := range to {
		r.DestinationIDs = append(r.DestinationIDs, d.ID)
	}
	w.do(w.db.InsertNotificationRule(w.context(), &r))
	return &r
}

// happens records that launches are of a kind now.
func (w *world) happens(kind constellation.NoticeKind, launches ...string) {
	w.t.Helper()
	satellite := "00000000-0000-4000-8000-000000000001"
	var events []Event
	for _, name := range launches {
		events = append(events, Event{Kind: kind, At: w.now(), Subject: "launch", ID: name, Name: name, SatelliteID: satellite, SatelliteName: "Prod east", Text: "said so"})
	}
	w.do(Record(w.context(), w.db, events...))
}

// route routes until there is no more to match.
func (w *world) route() {
	w.t.Helper()
	for more := true; more; {
		var err error
		more, err = w.Route(w.context())
		w.do(err)
	}
}

// deliveries returns all of them, oldest first.
func (w *world) deliveries() []constellation.Delivery {
	w.t.Helper()
	list, err := w.db.Deliveries(w.context(), "", "", postgres.List{Sort: "created_at", Limit: 500})
	w.do(err)
	return list
}

// titles returns what the deliveries are called, oldest first.
func (w *world) titles() []string {
	w.t.Helper()
	titles := []string{}
	for _, d := range w.deliveries() {
		titles = append(titles, d.Title)
	}
	return titles
}

func (w *world) message(id string) *constellation.NoticeMessage {
	w.t.Helper()
	content, err := w.db.DeliveryContent(w.context(), id)
	w.do(err)
	return &content.Content
}
