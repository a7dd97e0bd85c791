package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// told is a receiver of messages, and what came.
type told struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newTold(t *testing.T) *told {
	t.Helper()
	r := &told{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies = append(r.bodies, string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

// texts are what events of a kind say that came.
func (r *told) texts(t *testing.T, kind string) (texts []string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.bodies {
		var message struct {
			Data struct {
				Events []struct{ Type, Text, URL string }
			}
		}
		if err := json.Unmarshal([]byte(body), &message); err != nil {
			t.Fatal(err)
		}
		for _, e := range message.Data.Events {
			if e.Type == kind {
				texts = append(texts, e.Text+" "+e.URL)
			}
		}
	}
	return texts
}

// tells has everything of some kinds told there at once.
func (c *crasher) tells(t *testing.T, to *told, kinds ...string) {
	t.Helper()
	var made struct{ ID string }
	if _, err := c.Call(t.Context(), "POST", "/v1/notifications/destinations", `{"name":"ops","kind":"webhook","url":"`+to.URL+`"}`, &made); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(kinds)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"name":"all","destinations":["` + made.ID + `"],"kinds":` + string(list) + `,"group_seconds":0,"repeat_seconds":0}`
	if _, err := c.Call(t.Context(), "POST", "/v1/notifications/rules", body, &struct{}{}); err != nil {
		t.Fatal(err)
	}
}

// outboundLocal lets a server send messages to this machine.
var outboundLocal = []string{"--outbound-allow", "127.0.0.1/32"}

// metric returns the value of a metric without labels; false while it is not there.
func (c *crasher) metric(t *testing.T, name string) (float64, bool) {
	t.Helper()
	_, body := fetch(t, http.DefaultClient, "GET", c.URL+"/metrics", "")
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value, true
}

// alerting reports whether the two alert rules of backups hold at a time.
func (c *crasher) alerting(t *testing.T, now time.Time) (failed, old bool) {
	t.Helper()
	get := func(name string) float64 {
		value, ok := c.metric(t, name)
		if !ok {
			t.Fatalf("there is no metric %s", name)
		}
		return value
	}
	rules, err := os.ReadFile("../../deploy/grafana/mothership-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{
		"expr: max(constellation_backup_last_failed) > 0\n",
		"expr: max(constellation_backup_scheduled) > 0 and time() - max(constellation_backup_last_success_timestamp_seconds) > 172800\n",
	} {
		if !strings.Contains(string(rules), expr) {
			t.Fatalf("the alert rules have no %s: evaluate here what they have", expr)
		}
	}
	return get("constellation_backup_last_failed") > 0,
		get("constellation_backup_scheduled") > 0 && float64(now.Unix())-get("constellation_backup_last_success_timestamp_seconds") > 172800
}

// clockWait is more than a backup takes that is due each minute.
const clockWait = 3 * time.Minute

func within(t *testing.T, d time.Duration, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !f(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come within %v", what, d)
		}
	}
}

// TestBackupsByTheClock: one is taken when it is due and is read again; one that is
// killed with its server is told and gone on with; one that fails is told. Metrics and
// alert rules say so.
func TestBackupsByTheClock(t *testing.T) {
	t.Parallel()
	store, to := storagetest.New(t), newTold(t)
	c := newCrasherIn(t, dataDir(t), append(slices.Clone(outboundLocal), "--backup", store.Text("backups"), "--backup-schedule", "* * * * *", "--backup-keep", "2")...)
	i, kill := c.serve(t)
	c.URL = i.url
	c.tells(t, to, "backup.failed")
	for range 3 {
		if err := c.PushImage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	last := func() float64 {
		value, _ := c.metric(t, "constellation_backup_last_success_timestamp_seconds")
		return value
	}
	if failed, old := c.alerting(t, time.Now()); last() == 0 && (failed || !old) {
		t.Errorf("before the first backup the alerts are %v, %v; want that one is missing", failed, old)
	}
	within(t, clockWait, "a backup by the clock", func() bool { return last() > 0 })
	if failed, old := c.alerting(t, time.Now()); failed || old {
		t.Errorf("after a backup the alerts are %v, %v", failed, old)
	}
	if _, old := c.alerting(t, time.Now().Add(49*time.Hour)); !old {
		t.Error("two days later there is no alert")
	}
	if bytes, _ := c.metric(t, "constellation_backup_last_bytes"); bytes == 0 {
		t.Error("the backup has no bytes")
	}
	mothership(t, "backup", "verify", store.Text("backups"))

	// Killed in the middle: the store holds blobs back.
	if err := c.PushImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}, 1), make(chan struct{})
	store.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/backups/blobs/") {
			select {
			case held <- struct{}{}:
			default:
			}
			<-release
		}
		return false
	})
	select {
	case <-held:
	case <-time.After(clockWait):
		t.Fatal("no backup copies the new image")
	}
	kill()
	store.Fault(nil)
	close(release)
	i, kill = c.serve(t)
	c.URL = i.url
	within(t, clockWait, "word of the backup that was killed", func() bool { return len(to.texts(t, "backup.failed")) == 1 })
	if got := to.texts(t, "backup.failed")[0]; !strings.Contains(got, "ended before it was done") || !strings.Contains(got, "/system/backups") {
		t.Errorf("people are told %q", got)
	}
	if failed, _ := c.alerting(t, time.Now()); !failed {
		t.Error("the backup that was killed raises no alert")
	}
	mothership(t, append([]string{"backup", store.Text("backups"), "--data-dir", c.dir}, "--keep", "2")...) // goes on
	if failed, _ := c.alerting(t, time.Now()); failed {
		t.Error("the alert stays after a backup that succeeded")
	}

	// A target that is read-only.
	store.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/backups/") {
			return false
		}
		storagetest.Refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	})
	within(t, clockWait, "word of the backup that failed", func() bool { return len(to.texts(t, "backup.failed")) == 2 })
	if got := to.texts(t, "backup.failed")[1]; !strings.Contains(got, "lack a right") {
		t.Errorf("people are told %q", got)
	}
	if failed, _ := c.alerting(t, time.Now()); !failed {
		t.Error("the backup that failed raises no alert")
	}
	kill()
}
