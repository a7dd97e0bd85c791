package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver is a host that takes messages, or does what a test has it do.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	bodies []string
	ids    []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.bodies, r.ids = append(r.bodies, string(body)), append(r.ids, q.Header.Get("webhook-id"))
		answer := r.answer
		r.mu.Unlock()
		q.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) does(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// one makes a message of one event to a destination and returns its delivery's id.
func (w *world) one(d *constellation.Destination, name string) string {
	w.t.Helper()
	r := w.rule(constellation.NotificationRule{}, d)
	w.happens(stale, name)
	w.route()
	w.do(w.db.DeleteNotificationRule(w.context(), r.ID))
	list := w.deliveries()
	return list[len(list)-1].ID
}

func (w *world) delivery(id string) *constellation.Delivery {
	w.t.Helper()
	d, err := w.db.Delivery(w.context(), id)
	w.do(err)
	return d
}

// snoozed returns for how long an attempt was put off.
func snoozed(t *testing.T, err error) time.Duration {
	t.Helper()
	var snooze *river.JobSnoozeError
	if !errors.As(err, &snooze) {
		t.Fatalf("the attempt ended with %v, want it put off", err)
	}
	return snooze.Duration
}

func TestWebhookIsSigned(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.clock.Store(int64(time.Since(start) / time.Second)) // the other implementation looks at the time
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	must(t, err)
	var verified error
	r.does(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if verified = verifier.Verify(body, q.Header); verified != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	d := w.destination(constellation.DestinationWebhook, r.URL, constellation.DestinationSecret{URL: r.URL, Secret: hookSecret})
	id := w.one(d, "a")
	must(t, w.Deliver(t.Context(), id))
	if got := w.delivery(id); got.State != constellation.DeliverySent || verified != nil || got.Attempts != 1 {
		t.Fatalf("the delivery is %+v, the signature %v", got, verified)
	}
	must(t, w.Deliver(t.Context(), id)) // the job runs again, as after a crash
	if len(r.bodies) != 1 {
		t.Errorf("%d messages came, want 1", len(r.bodies))
	}
	var body map[string]any
	must(t, json.Unmarshal([]byte(r.bodies[0]), &body))
	data := body["data"].(map[string]any)
	event := data["events"].([]any)[0].(map[string]any)
	if body["type"] != "launch.stale" || data["id"] != id || data["count"] != 1.0 || event["text"] != "said so" ||
		event["url"] != "https://mothership.example.com/satellites/00000000-0000-4000-8000-000000000001/launches/a" {
		t.Errorf("the body is %s", r.bodies[0])
	}
}

func TestReceiversThatRefuse(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	endless := func(out http.ResponseWriter, q *http.Request) {
		for q.Context().Err() == nil {
			if _, err := out.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}
	other := newReceiver(t)
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := "http://" + refused.Addr().String() + "/secret-path"
	must(t, refused.Close())
	for name, test := range map[string]struct {
		url    string
		answer http.HandlerFunc
		says   string
		state  constellation.DeliveryState
	}{
		"an error":       {answer: status(500), says: "answers 500", state: constellation.DeliveryPending},
		"not found":      {answer: status(404), says: "answers 404", state: constellation.DeliveryPending},
		"not understood": {answer: status(400), says: "answers 400", state: constellation.DeliveryFailed},
		"sent on":        {answer: http.RedirectHandler(other.URL, http.StatusTemporaryRedirect).ServeHTTP, says: "sends on elsewhere", state: constellation.DeliveryPending},
		"a gigabyte":     {answer: endless, state: constellation.DeliverySent},
		"nobody there":   {url: closed, says: "connection refused", state: constellation.DeliveryPending},
		"what Teams says": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "Webhook message delivery failed with error: 429")
		}, says: "delivery failed", state: constellation.DeliveryPending},
	} {
		url := r.URL + "/secret-path"
		if test.url != "" {
			url = test.url
		}
		d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{URL: url})
		id := w.one(d, name)
		if test.answer != nil {
			r.does(test.answer)
		}
		err := w.Deliver(t.Context(), id)
		got := w.delivery(id)
		if got.State != test.state || !strings.Contains(got.Error, test.says) || strings.Contains(got.Error, "secret-path") {
			t.Errorf("%s: %s, %q, %v", name, got.State, got.Error, err)
		}
		w.after(time.Second)
	}
	if len(other.bodies) > 0 {
		t.Error("another host was told")
	}
}

// A receiver that answers 500 for a day has it once it is well, under the same id; in
// between one message knocks for all.
func TestReceiverThatIsDownForADay(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	d := w.destination(constellation.DestinationWebhook, r.URL, constellation.DestinationSecret{URL: r.URL, Secret: hookSecret})
	first, second := w.one(d, "a"), ""
	r.does(status(500))
	var total, last time.Duration
	for total < 24*time.Hour {
		last = snoozed(t, w.Deliver(t.Context(), first))
		if second == "" {
			w.after(time.Second)
			second = w.one(d, "b")
		}
		if wait := snoozed(t, w.Deliver(t.Context(), second)); wait < time.Second {
			t.Fatalf("the second is put off for %s", wait)
		}
		total += last
		w.after(last + time.Second)
	}
	if got := len(r.bodies); got < 25 || got > 40 || last < time.Hour {
		t.Errorf("%d attempts in a day, the last after %s", got, last)
	}
	found, err := w.db.Destination(t.Context(), d.ID)
	must(t, err)
	if found.FailingSince == nil || w.delivery(second).Attempts != 0 {
		t.Errorf("the destination is %+v, the second %+v", found, w.delivery(second))
	}
	r.does(status(202))
	must(t, w.Deliver(t.Context(), first))
	must(t, w.Deliver(t.Context(), second))
	if w.delivery(first).State != constellation.DeliverySent || w.delivery(second).State != constellation.DeliverySent || r.ids[0] != first || r.ids[len(r.ids)-2] != first {
		t.Errorf("in the end: %+v, %+v", w.delivery(first), w.delivery(second))
	}
	third := w.one(d, "c")
	r.does(status(500))
	for range 100 {
		err := w.Deliver(t.Context(), third)
		if err == nil {
			break
		}
		w.after(snoozed(t, err) + time.Second)
	}
	got := w.delivery(third)
	if got.State != constellation.DeliveryFailed || !strings.Contains(got.Error, "nothing was taken until") {
		t.Errorf("after three days: %+v", got)
	}
	if again, err := Resend(t.Context(), w.db, third, w.now()); err != nil || !again {
		t.Errorf("sent again: %v, %v", again, err)
	}
	r.does(status(200))
	w.after(2 * time.Hour)
	must(t, w.Deliver(t.Context(), third))
	if got := w.delivery(third); got.State != constellation.DeliverySent {
		t.Errorf("sent again: %+v", got)
	}
}

func TestReceiverThatIsGone(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	d := w.destination(constellation.DestinationWebhook, r.URL, constellation.DestinationSecret{URL: r.URL, Secret: hookSecret})
	first := w.one(d, "a")
	w.after(time.Second)
	second := w.one(d, "b")
	r.does(status(410))
	must(t, w.Deliver(t.Context(), first))
	must(t, w.Deliver(t.Context(), second))
	found, err := w.db.Destination(t.Context(), d.ID)
	must(t, err)
	if !found.Disabled || !strings.Contains(found.DisabledWhy, "410") || len(r.bodies) != 1 {
		t.Errorf("the destination is %+v after %d messages", found, len(r.bodies))
	}
	test, m, giveUp := NewTest(found, "neo", w.now()) // tried once, also when the destination is off
	must(t, w.db.InsertDelivery(t.Context(), test, m, giveUp))
	must(t, w.Deliver(t.Context(), test.ID))
	if got := w.delivery(test.ID); got.Attempts != 1 || !strings.Contains(got.Error, "410") {
		t.Errorf("a test of it: %+v", got)
	}
	for _, id := range []string{first, second, test.ID} {
		if got := w.delivery(id); got.State != constellation.DeliveryFailed {
			t.Errorf("a delivery to it: %+v", got)
		}
	}
	var rows int
	must(t, w.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM events WHERE action = 'notification_destination.update' AND actor = 'system'`).Scan(&rows))
	if rows != 1 {
		t.Errorf("%d rows in the audit log, want 1", rows)
	}
}

// Addresses that are no public host's are refused when they are dialled.
func TestPrivateReceiver(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	config := w.config
	config.Check = nil
	w.Service = New(config)
	for _, url := range []string{r.URL, "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::ffff:10.0.0.1]/"} {
		d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{URL: url})
		id := w.one(d, url)
		snoozed(t, w.Deliver(t.Context(), id))
		if got := w.delivery(id); !strings.Contains(got.Error, "outbound-allow") {
			t.Errorf("%s: %q", url, got.Error)
		}
		w.after(time.Second)
	}
	if len(r.bodies) > 0 {
		t.Error("a private receiver was told")
	}
}

func TestHangingReceiver(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.sender.client.Timeout = 100 * time.Millisecond
	r.does(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	d := w.destination(constellation.DestinationSlack, "x", constellation.DestinationSecret{URL: r.URL})
	id := w.one(d, "a")
	snoozed(t, w.Deliver(t.Context(), id))
	if got := w.delivery(id); !strings.Contains(got.Error, "did not answer within") {
		t.Errorf("%q", got.Error)
	}
	w.after(time.Hour)
	stopping, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Deliver(stopping, id); err == nil || w.delivery(id).Attempts != 1 {
		t.Errorf("a server that stops: %v, %d attempts", err, w.delivery(id).Attempts)
	}
}

// Nothing in a name is taken for more than a name.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	evil := "<!channel> @here <b>x</b> [a](https://evil.example) ![i](http://evil.example/p) {{DATE(2026-11-30T00:00:00Z)}} `c` *b* a|b"
	m := &constellation.NoticeMessage{Title: evil, Count: 1, Notices: []constellation.Notice{{Kind: stale, SubjectKind: "launch", SubjectID: "l", SubjectName: evil, SatelliteName: evil, Text: evil}}}
	id := "00000000-0000-4000-8000-000000000001"
	m.Notices[0].SatelliteID = &id
	body, err := slackBody("https://m.example", m)
	must(t, err)
	var slack struct{ Text string }
	must(t, json.Unmarshal(body, &slack))
	for _, bad := range []string{"<!", "@h", "<b>", "](", "![", "https://evil", "http://evil", "`", "|a|b", "<@"} {
		if strings.Contains(slack.Text, bad) {
			t.Errorf("to Slack goes %q:\n%s", bad, slack.Text)
		}
	}
	body, err = teamsBody("https://m.example", m)
	must(t, err)
	if text := string(body); strings.Contains(text, "TextBlock\",\"text") || strings.Contains(text, "{{DATE") || !strings.Contains(text, `"contentType":"application/vnd.microsoft.card.adaptive"`) {
		t.Errorf("to Teams goes:\n%s", text)
	}
	var card struct {
		Type        string
		Attachments []struct {
			Content struct {
				Type, Version string
				Body          []struct {
					Type    string
					Inlines []struct{ Type, Text string }
				}
			}
		}
	}
	must(t, json.Unmarshal(body, &card))
	for _, block := range card.Attachments[0].Content.Body {
		if block.Type != "RichTextBlock" {
			t.Errorf("a block is %s, in which text is mark-up", block.Type)
		}
	}
	if diff := cmp.Diff("message", card.Type); diff != "" {
		t.Error(diff)
	}
}
