package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// destination makes a chat and returns its id.
func (w *world) destination(name string) string {
	w.t.Helper()
	body := fmt.Sprintf(`{"name":%q,"kind":"slack","url":"https://hooks.slack.com/services/T/B/secret"}`, name)
	return w.call(w.admin, "POST", "/v1/notifications/destinations", body).want(w.t, http.StatusCreated)["id"].(string)
}

// open opens the world's database.
func (w *world) open() *postgres.DB {
	w.t.Helper()
	db, err := postgres.Open(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(db.Close)
	return db
}

const (
	destinationsPath = "/v1/notifications/destinations"
	rulesPath        = "/v1/notifications/rules"
	deliveriesPath   = "/v1/notifications/deliveries"
)

func TestDestinations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(w.admin, "POST", destinationsPath, `{"name":"Hook","kind":"webhook","url":"https://siem.example.com/in?token=hunter2"}`).want(t, http.StatusCreated)
	secret, _ := made["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || made["address"] != "https://siem.example.com/in?…" || made["url"] != nil {
		t.Errorf("made: %v", made)
	}
	id := made["id"].(string)
	w.destination("Chat")
	for body, field := range map[string]string{
		`{"name":"","kind":"slack","url":"https://x.example"}`:                               "name",
		`{"name":"a","kind":"pager","url":"https://x.example"}`:                              "kind",
		`{"name":"a","kind":"slack","url":"gopher://x"}`:                                     "url",
		`{"name":"a","kind":"slack"}`:                                                        "url",
		`{"name":"a","kind":"slack","url":"https://x.example","secret":"whsec_x"}`:           "secret",
		`{"name":"a","kind":"webhook","url":"https://x.example","secret":"short"}`:           "secret",
		`{"name":"a","kind":"slack","url":"https://x.example","recipients":["a@b.example"]}`: "recipients",
		`{"name":"a","kind":"email"}`:                                                        "recipients",
		`{"name":"a","kind":"email","recipients":["a@b.example\r\nBcc: c@d.example"]}`:       "recipients",
	} {
		w.call(w.admin, "POST", destinationsPath, body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	w.call(w.admin, "POST", destinationsPath, `{"name":"chat","kind":"slack","url":"https://x.example"}`).refused(t, http.StatusConflict, 1002, "", "")
	got := w.call(w.admin, "GET", destinationsPath+"?sort=-name", "").want(t, http.StatusOK)["results"].([]any)
	if len(got) != 2 || got[0].(map[string]any)["name"] != "Hook" {
		t.Errorf("the list is %v", got)
	}
	path := destinationsPath + "/" + id
	changed := w.call(w.admin, "PATCH", path, `{"name":"Hook 2","url":"https://other.example.com/in","disabled":true}`).want(t, http.StatusOK)
	if changed["name"] != "Hook 2" || changed["address"] != "https://other.example.com/in" || changed["disabled"] != true {
		t.Errorf("changed: %v", changed)
	}
	w.call(w.admin, "PATCH", path, `{"name":"chat"}`).refused(t, http.StatusConflict, 1002, "", "")
	w.call(w.admin, "PATCH", path, `{"recipients":["a@b.example"]}`).refused(t, http.StatusUnprocessableEntity, 6001, "recipients", "")
	log := fmt.Sprint(w.call(w.admin, "GET", "/v1/events?expand=changes&q=hook", "").want(t, http.StatusOK))
	for _, hidden := range []string{secret, "hunter2"} {
		if strings.Contains(log, hidden) || hidden == "" {
			t.Errorf("the audit log has the secret: %s", log)
		}
	}
	w.call(w.admin, "DELETE", path, "").want(t, http.StatusNoContent)
	w.call(w.admin, "GET", path, "").refused(t, http.StatusNotFound, 1000, "", "")
	w.call(w.admin, "GET", destinationsPath+"/nonsense", "").refused(t, http.StatusNotFound, 1000, "", "UUID")
}

func TestNotificationRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := w.destination("Chat")
	full := fmt.Sprintf(`{"name":"Nights","kinds":["launch.stale","backup.failed"],"satellites":{"name":"prod-*"},"destinations":[%q],
		"quiet":{"from":"22:00","to":"07:00","time_zone":"Europe/Berlin","except":["backup.failed"]},"group_seconds":0,"repeat_seconds":60}`, to)
	made := w.call(w.admin, "POST", rulesPath, full).want(t, http.StatusCreated)
	path := rulesPath + "/" + made["id"].(string)
	got := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)
	if fmt.Sprint(got["kinds"]) != "[launch.stale backup.failed]" || got["quiet"].(map[string]any)["time_zone"] != "Europe/Berlin" || got["group_seconds"] != 0. ||
		got["satellites"].(map[string]any)["name"] != "prod-*" || fmt.Sprint(got["destinations"]) != "["+to+"]" {
		t.Errorf("the rule is %v", got)
	}
	for body, field := range map[string]string{
		`{"name":"a","destinations":[]}`:                                                                     "destinations",
		`{"name":"a","destinations":["00000000-0000-4000-8000-000000000000"]}`:                               "destinations",
		`{"name":"a","destinations":["x"]}`:                                                                  "destinations",
		`{"name":"a","kinds":["launch.lost"],"destinations":["` + to + `"]}`:                                 "kinds",
		`{"name":"a","destinations":["` + to + `"],"group_seconds":3601}`:                                    "group_seconds",
		`{"name":"a","destinations":["` + to + `"],"quiet":{"from":"22:00","to":"22:00","time_zone":"UTC"}}`: "quiet.to",
	} {
		w.call(w.admin, "POST", rulesPath, body).refused(t, http.StatusUnprocessableEntity, 6001, field, "")
	}
	w.call(w.admin, "POST", rulesPath, full).refused(t, http.StatusConflict, 1002, "", "")
	plain := fmt.Sprintf(`{"name":"All","destinations":[%q]}`, to)
	w.call(w.admin, "POST", rulesPath, plain).want(t, http.StatusCreated)
	w.call(w.admin, "PUT", path, plain).refused(t, http.StatusConflict, 1002, "", "")
	put := w.call(w.admin, "PUT", path, fmt.Sprintf(`{"name":"Days","destinations":[%q],"disabled":true}`, to)).want(t, http.StatusOK)
	if put["quiet"] != nil || put["group_seconds"] != 60. || put["repeat_seconds"] != 900. || put["disabled"] != true || fmt.Sprint(put["kinds"]) != "[]" {
		t.Errorf("put: %v", put)
	}
	if got := w.call(w.admin, "GET", rulesPath+"?q=da", "").want(t, http.StatusOK)["results"].([]any); len(got) != 1 {
		t.Errorf("found: %v", got)
	}
	w.call(w.admin, "DELETE", path, "").want(t, http.StatusNoContent)
	w.call(w.admin, "PUT", path, plain).refused(t, http.StatusNotFound, 1000, "", "")
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := w.destination("Chat")
	test := w.call(w.admin, "POST", destinationsPath+"/"+to+"/test", "").want(t, http.StatusCreated)
	path := deliveriesPath + "/" + test["id"].(string)
	if test["state"] != "pending" || test["destination_name"] != "Chat" || test["rule"] != nil {
		t.Errorf("the test is %v", test)
	}
	w.call(w.admin, "POST", path+"/resend", "").refused(t, http.StatusConflict, 1002, "", "still tried")
	w.execute(w.url, `UPDATE notification_deliveries SET state = 'failed', error = 'it answers 500', finished_at = now()`)
	if got := w.call(w.admin, "GET", deliveriesPath+"?state=failed&destination_id="+to+"&q=chat", "").want(t, http.StatusOK)["results"].([]any); len(got) != 1 {
		t.Errorf("the failed ones are %v", got)
	}
	w.call(w.admin, "GET", deliveriesPath+"?destination_id=x", "").refused(t, http.StatusUnprocessableEntity, 6001, "destination_id", "")
	if again := w.call(w.admin, "POST", path+"/resend", "").want(t, http.StatusCreated); again["state"] != "pending" || again["id"] != test["id"] {
		t.Errorf("sent again: %v", again)
	}
	w.execute(w.url, `INSERT INTO notification_deliveries SELECT gen_random_uuid(), destination_id, destination_name, rule_name, title, search_key, notices, content, 'pending', 0, '', NULL, now(), now(), NULL
		FROM notification_deliveries, generate_series(1, 250)`)
	w.call(w.admin, "POST", destinationsPath+"/"+to+"/test", "").refused(t, http.StatusConflict, 1002, "", "messages wait")
	w.call(w.admin, "DELETE", destinationsPath+"/"+to, "").want(t, http.StatusNoContent)
	if got := w.call(w.admin, "GET", path, "").want(t, http.StatusOK); got["state"] != "failed" || got["destination_id"] != nil || got["error"] != "the destination was removed" {
		t.Errorf("after its destination was removed: %v", got)
	}
	w.call(w.admin, "POST", path+"/resend", "").refused(t, http.StatusConflict, 1002, "", "was removed")
}

// What a launch does is told by a rule, from its heartbeats to the message.
func TestLaunchesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := w.destination("Chat")
	w.call(w.admin, "POST", rulesPath, fmt.Sprintf(`{"name":"All","destinations":[%q],"group_seconds":0,"repeat_seconds":0}`, to)).want(t, http.StatusCreated)
	queue, err := jobs.NewQueue(w.open())
	if err != nil {
		t.Fatal(err)
	}
	teller := notify.New(notify.Config{DB: w.open(), Queue: queue, PublicURL: w.server.URL, Now: func() time.Time { return time.Now().AddDate(0, 0, 3) }})
	told := func(title string) func() bool {
		return func() bool {
			if _, err := teller.Route(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, d := range w.call(w.admin, "GET", deliveriesPath, "").want(t, http.StatusOK)["results"].([]any) {
				if d.(map[string]any)["title"] == title {
					return true
				}
			}
			return false
		}
	}
	satellite := w.satellite("Edge")
	w.run()
	r := w.reporter(satellite, w.launch(satellite, "berlin"))
	r.report()
	r.becomes("up", "")
	r.beat.Algorithms[0].Ready, r.beat.Algorithms[0].Reason = 1, "no room"
	r.report()
	r.becomes("up", "degraded if its next heartbeat says so too")
	r.report()
	w.eventually("degraded to be told", told("Launch degraded: berlin of Edge"))
	r.beat.Algorithms[0].Ready = 2
	r.report()
	r.becomes("degraded", "up with its next heartbeat")
	r.report()
	w.eventually("back to be told", told("Launch back: berlin of Edge"))
	w.clock.Store(150)
	r.becomes("stale", "")
	w.eventually("stale to be told", told("Launch stale: berlin of Edge"))
	titles := []string{}
	for _, d := range w.call(w.admin, "GET", deliveriesPath+"?sort=created_at", "").want(t, http.StatusOK)["results"].([]any) {
		titles = append(titles, d.(map[string]any)["title"].(string))
	}
	if want := []string{"Launch degraded: berlin of Edge", "Launch back: berlin of Edge", "Launch stale: berlin of Edge"}; !slices.Equal(titles, want) {
		t.Errorf("told %v, want %v", titles, want)
	}
}

// What expires is told in time, once for each step.
func TestExpiryIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := w.destination("Chat")
	w.call(w.admin, "POST", rulesPath, fmt.Sprintf(`{"name":"All","kinds":["launch.expiring","key.expiring"],"destinations":[%q]}`, to)).want(t, http.StatusCreated)
	satellite := w.satellite("Edge")
	w.launch(satellite, "berlin")
	w.satellite("No launch")
	year := time.Now().AddDate(1, 0, 0)
	w.key("neo", control.NewKey{Name: "CI", ExpiresAt: &year})
	now := time.Now()
	queue, err := jobs.NewQueue(w.open())
	if err != nil {
		t.Fatal(err)
	}
	teller := notify.New(notify.Config{DB: w.open(), Queue: queue, Now: func() time.Time { return now }})
	db := w.open()
	count := func(kind, text string) (n int) {
		t.Helper()
		if err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM notices WHERE kind = $1 AND text LIKE $2`, kind, text).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		days                       int
		days30, days7, days1, keys int
	}{{335, 0, 0, 0, 0}, {336, 1, 0, 0, 0}, {337, 1, 0, 0, 0}, {359, 1, 1, 0, 2}, {365, 1, 1, 1, 4}, {367, 1, 1, 1, 4}} {
		now = year.AddDate(0, 0, step.days-366).Add(time.Hour)
		for range 2 {
			if err := teller.Watch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got := [4]int{count("launch.expiring", "%in 30 days%"), count("launch.expiring", "%in 7 days%"), count("launch.expiring", "%a day or less%"), count("key.expiring", "%the API key of neo%")}
		if want := [4]int{step.days30, step.days7, step.days1, step.keys}; got != want {
			t.Errorf("after %d days: %v, want %v", step.days, got, want)
		}
	}
}
