package notify

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/jobs"
)

const (
	stale    = constellation.NoticeLaunchStale
	degraded = constellation.NoticeLaunchDegraded
	back     = constellation.NoticeLaunchBack
)

// Of many servers one makes the message, and each rule has each event once.
func TestManyAtOnceAreOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slack := w.destination(constellation.DestinationSlack, "https://hooks.slack.com/…", constellation.DestinationSecret{})
	mail := w.destination(constellation.DestinationEmail, "ops@example.com", constellation.DestinationSecret{})
	w.rule(constellation.NotificationRule{Name: "all", GroupSeconds: 60}, slack, mail)
	w.rule(constellation.NotificationRule{Name: "east", Kinds: []constellation.NoticeKind{stale}, Selector: constellation.SatelliteSelector{Name: "prod *"}, GroupSeconds: 60}, slack)
	w.rule(constellation.NotificationRule{Name: "west", Selector: constellation.SatelliteSelector{Name: "* west"}}, slack)
	w.rule(constellation.NotificationRule{Name: "off", Disabled: true}, slack)
	const many = 10_000
	begun := time.Now()
	for part := range 10 {
		var names []string
		for i := range many / 10 {
			names = append(names, fmt.Sprintf("launch %05d", part*many/10+i))
		}
		w.happens(stale, names...)
	}
	recorded := time.Since(begun)
	begun = time.Now()
	w.after(61 * time.Second)
	var all sync.WaitGroup
	for range 4 { // as many servers
		queue, err := jobs.NewQueue(w.db)
		w.do(err)
		config := w.config
		config.Queue = queue
		server := New(config)
		all.Go(func() {
			for range 30 {
				if _, err := server.Route(w.context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.route()
	t.Logf("10,000 events are recorded in %s and told in %s", recorded.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	got := map[string]int{}
	for _, d := range w.deliveries() {
		got[d.RuleName+" "+d.DestinationName] = d.Notices
		if d.Title != "10000 launches stale" || d.State != constellation.DeliveryPending {
			t.Errorf("the message is %q, %s", d.Title, d.State)
		}
	}
	want := map[string]int{"all " + slack.Name: many, "all " + mail.Name: many, "east " + slack.Name: many}
	if diff := cmp.Diff(want, got); diff != "" || len(w.deliveries()) != 3 {
		t.Errorf("%d deliveries (-want +got):\n%s", len(w.deliveries()), diff)
	}
	m := w.message(w.deliveries()[0].ID)
	if len(m.Notices) != shown || m.Notices[0].SubjectName != "launch 00000" || rest(m) != "and 9990 more" {
		t.Errorf("it names %d, the first %q, %s", len(m.Notices), m.Notices[0].SubjectName, rest(m))
	}
	var left, waiting int
	w.do(w.db.Pool().QueryRow(w.context(), `SELECT (SELECT count(*) FROM notices), (SELECT count(*) FROM river_job WHERE kind = 'notification_deliver')`).Scan(&left, &waiting))
	if left != 0 || waiting != 3 {
		t.Errorf("%d notices are left, and %d jobs wait, want 0 and 3", left, waiting)
	}
}

func TestWhatComesAndGoesIsNoStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{})
	w.rule(constellation.NotificationRule{GroupSeconds: 60, RepeatSeconds: 900}, d)
	step := func(pass time.Duration, kinds ...constellation.NoticeKind) {
		for _, kind := range kinds {
			w.happens(kind, "a")
			w.after(time.Second)
		}
		w.route()
		w.after(pass)
		w.route()
	}
	want := []string{}
	check := func(what string, more ...string) {
		t.Helper()
		want = append(want, more...)
		if diff := cmp.Diff(want, w.titles()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
	}
	step(30*time.Second, stale)
	check("before the window is over")
	step(31 * time.Second)
	check("after it", "Launch stale: a of Prod east")
	step(2*time.Minute, back)
	check("back, soon after it was told")
	for range 20 { // it flaps, every 20 s
		step(10*time.Second, stale)
		step(10*time.Second, back)
	}
	check("while it flaps")
	step(15 * time.Minute)
	check("how it is in the end", "Launch back: a of Prod east")
	step(20 * time.Minute)
	step(2*time.Minute, degraded, back)
	check("what came and went within the window")
	step(2*time.Minute, stale)
	check("stale again", "Launch stale: a of Prod east")
	step(2*time.Minute, back, stale)
	step(16 * time.Minute)
	check("gone and come: they know that it is stale")
	w.clock.Add(-7200) // the clock is set back
	step(2*time.Minute, back)
	step(16 * time.Minute)
	if got := w.titles(); len(got) != len(want)+1 || got[0] != "Launch back: a of Prod east" { // which is the oldest by the clock
		t.Errorf("back, with the clock set back: %v", got)
	}
}

// A rule that hears of one kind alone is told it again, now and then.
func TestRuleOfOneKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{})
	w.rule(constellation.NotificationRule{Kinds: []constellation.NoticeKind{stale}, RepeatSeconds: 900}, d)
	for range 10 { // every 3 minutes, for half an hour
		w.happens(stale, "a")
		w.happens(back, "a")
		w.route()
		w.after(3 * time.Minute)
		w.route()
	}
	if got := len(w.titles()); got != 3 { // at 0, 15 and 30 minutes
		t.Errorf("told %d times in half an hour, want 3", got)
	}
}

func TestQuietHoursHoldMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{})
	w.rule(constellation.NotificationRule{
		GroupSeconds: 60, Quiet: &constellation.QuietHours{From: "22:00", To: "07:00", TimeZone: "Europe/Berlin", Except: []constellation.NoticeKind{constellation.NoticeBackupFailed}},
	}, d)
	w.after(9*time.Hour + 30*time.Minute) // 22:30 in Berlin
	for i := range 3 {
		w.happens(stale, fmt.Sprint("a", i))
		w.route()
		w.after(time.Hour)
		w.route()
	}
	if got := w.titles(); len(got) != 0 {
		t.Fatalf("it is quiet, and told: %v", got)
	}
	w.do(Record(w.context(), w.db, Event{Kind: constellation.NoticeBackupFailed, At: w.now(), Subject: "backup", ID: "b", Name: "nightly", Text: "no room"}))
	w.route()
	w.after(61 * time.Second)
	w.route()
	if diff := cmp.Diff([]string{"Backup failed: nightly"}, w.titles()); diff != "" {
		t.Fatalf("what is urgent (-want +got):\n%s", diff)
	}
	w.clock.Store(int64((18*time.Hour + time.Second) / time.Second)) // 07:00 and a second
	w.route()
	got := w.deliveries()
	if len(got) != 2 || got[1].Title != "3 launches stale" || !w.message(got[1].ID).Held || w.message(got[0].ID).Held {
		t.Errorf("after the quiet hours: %v", w.titles())
	}
}

// Messages for a destination that takes none are bounded, and say so.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{})
	w.rule(constellation.NotificationRule{}, d)
	for i := range mostWaiting + 2 {
		w.happens(stale, fmt.Sprint("a", i))
		w.route()
		w.after(time.Second)
	}
	states := map[constellation.DeliveryState]int{}
	for _, d := range w.deliveries() {
		states[d.State]++
	}
	if diff := cmp.Diff(map[constellation.DeliveryState]int{constellation.DeliveryPending: mostWaiting, constellation.DeliveryFailed: 2}, states); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.do(w.db.DeleteDestination(w.context(), d.ID, w.now()))
	if slices.ContainsFunc(w.deliveries(), func(d constellation.Delivery) bool {
		return d.State == constellation.DeliveryPending || d.DestinationID != nil
	}) {
		t.Error("messages still wait for a destination that was removed")
	}
	w.happens(stale, "z") // the rule is left, and tells nobody
	w.route()
	if got := len(w.deliveries()); got != mostWaiting+2 {
		t.Errorf("%d deliveries without a destination", got)
	}
}
