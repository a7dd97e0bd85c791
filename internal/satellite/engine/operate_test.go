package engine

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const operatedToken = "cst_launch_token"

// startOperated starts an engine of a launch that runs its own queue and gives up
// after one run, and returns an operator's client of it.
func startOperated(t *testing.T, dir string, routes ...config.Route) (*testEngine, *operate.Client) {
	t.Helper()
	return startOperatedOn(t, dir, config.Routes{Algorithms: routes})
}

func startOperatedOn(t *testing.T, dir string, routes config.Routes) (*testEngine, *operate.Client) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(operatedToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	routes.Satellite, routes.Launch = config.Satellite{ID: "s", Version: 1}, config.Launch{ID: "lau"}
	e := startEngineWith(t, Options{TokenFile: token, QueueDir: dir, durableAttempts: 1}, routes)
	e.awaitQueue()
	return e, operate.NewClient(operatedToken, e.metrics, http.DefaultTransport)
}

// TestOperatorSeesAndRetriesDeadLetters: a call whose replica goes while it runs
// is a dead letter, which is seen, and runs when it is put back.
func TestOperatorSeesAndRetriesDeadLetters(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	addr := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if broken.Load() {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
	})
	route := httpRoute("foo/bar", addr)
	route.Concurrency = 1
	e, operator := startOperated(t, t.TempDir(), route, httpRoute("foo/idle", addr))
	ids := []string{e.void(request{body: "one"}), e.void(request{body: "two"}), e.void(request{body: "three"})}
	for _, id := range ids {
		if state := e.ended(id)["state"]; state != "dead" {
			t.Fatalf("call %s is %v, want dead", id, state)
		}
	}
	if _, err := e.durable.Session().Queue.Publish(t.Context(), queue.Message{Kind: queue.KindCall, Algorithm: "foo/bar", ID: "odd", Data: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	var list operate.DeadLetters
	eventually(t, "what cannot be read is a dead letter too", func() (ok bool) {
		var err error
		if list, err = operator.DeadLetters(t.Context(), "foo/bar", 10); err != nil {
			t.Fatal(err)
		}
		return list.Total == 4
	})
	if l := list.Items[0]; !strings.HasPrefix(l.ID, "unreadable-") || l.VanityURL != "foo/bar" || l.Input != nil {
		t.Errorf("the newest letter is %+v, want the one that cannot be read", l)
	}
	if none, err := operator.DeadLetters(t.Context(), "foo/idle", 10); err != nil || len(none.Items) != 0 || none.Total != 0 {
		t.Errorf("letters of another algorithm = %+v, %v", none, err)
	}
	letter, err := operator.DeadLetter(t.Context(), ids[0])
	if err != nil || string(letter.Input) != "one" || letter.ID != ids[0] || letter.Attempts != 1 || letter.Reason == "" || letter.ContentType == "" {
		t.Errorf("Letter = %+v, %v", letter, err)
	}
	if letter.LastStatus == 0 || !strings.Contains(string(letter.LastOutput), `"error":{"message"`) {
		t.Errorf("the last answer is %d %s, want what the run was answered", letter.LastStatus, letter.LastOutput)
	}
	var status operate.Status
	eventually(t, "the node says that it is well", func() bool {
		status, err = operator.Status(t.Context())
		return err == nil && status.State == operate.StateOK
	})
	if status.Dead != 4 || len(status.Algorithms) != 2 || status.Algorithms[0].Dead != 4 {
		t.Errorf("Status = %+v", status)
	}
	broken.Store(false)
	const gone = "req-00000000-0000-8000-8000-000000000000"
	done, err := operator.Retry(t.Context(), []string{ids[0], ids[1], ids[0], gone})
	if err != nil || done.Done != 2 || len(done.Failed) != 1 || done.Failed[0].ID != gone {
		t.Errorf("Retry = %+v, %v; want two done and one that is none", done, err)
	}
	for i, want := range []string{"one", "two"} {
		eventually(t, "the call succeeds", func() bool { return e.ended(ids[i])["state"] == "succeeded" })
		if got := e.do(request{method: http.MethodGet, path: "/v1/async/" + ids[i] + "/result"}); got.json(t)["result"] != want {
			t.Errorf("result = %s, want %s", got.body, want)
		}
	}
	if done, err := operator.Drop(t.Context(), []string{ids[2], list.Items[0].ID}); err != nil || done.Done != 2 {
		t.Errorf("Drop = %+v, %v", done, err)
	}
	if list, err := operator.DeadLetters(t.Context(), "", 10); err != nil || list.Total != 0 {
		t.Errorf("Dead at last = %+v, %v", list, err)
	}
	if state := e.ended(ids[2])["state"]; state != "dead" {
		t.Errorf("a call that was dropped is %v, want dead", state)
	}
}

// TestMothershipRetriesDeadLetters: what the heartbeat tells, and does.
func TestMothershipRetriesDeadLetters(t *testing.T) {
	e, _ := startOperated(t, t.TempDir(), httpRoute("foo/bar", httpReplica(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
	id := e.void(request{body: "one"})
	e.ended(id)
	work := e.Work()
	var state heartbeat.WorkState
	eventually(t, "the node says that it is well", func() bool {
		state = work.State(t.Context())
		return state.Queue != nil && state.Queue.State == "ok"
	})
	if q := state.Queue; q.Dead != 1 || q.Limit == 0 {
		t.Errorf("queue = %+v", q)
	}
	if l := state.DeadLetters; len(l) != 1 || l[0].RequestID != id || l[0].VanityURL != "foo/bar" || l[0].At.IsZero() {
		t.Errorf("dead letters = %+v", l)
	}
	if n, err := work.Do(t.Context(), apiv1.HeartbeatCommand{Action: apiv1.QueueDrop, RequestIDs: []string{id, "x"}}); n != 1 || err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("Do = %d, %v; want 1 and why not the other", n, err)
	}
	off := startEngine(t, lsRoute("foo/bar", "127.0.0.1:9999"))
	if q := off.Work().State(t.Context()).Queue; q == nil || q.State != "off" {
		t.Errorf("queue of a satellite without = %+v", q)
	}
}

// TestDrain: new calls are refused in words, those that are there end, and an
// engine that starts anew knows it.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	addr := httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		waittest.Hold(t, release)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("done"))
	})
	dir := t.TempDir()
	e, operator := startOperated(t, dir, httpRoute("foo/bar", addr))
	id := e.void(request{body: "one"})
	if d, err := operator.Drain(t.Context(), true); err != nil || !d.On {
		t.Fatalf("Drain = %+v, %v", d, err)
	}
	if got := e.do(request{path: "/v1/algo/foo/bar?output=void", body: "two"}); got.status != 503 || !strings.Contains(got.body, "takes no new asynchronous calls") || got.header.Get("Retry-After") == "" {
		t.Errorf("a new call = %d %s", got.status, got.body)
	}
	if got := e.do(request{path: "/v1/batch/foo/bar", body: "1\n"}); got.status != 503 || !strings.Contains(got.body, "takes no new asynchronous calls") {
		t.Errorf("a new batch = %d %s", got.status, got.body)
	}
	close(release)
	if state := e.ended(id)["state"]; state != "succeeded" {
		t.Errorf("the call that was there is %v, want succeeded", state)
	}
	e.stop()
	if err := waittest.Receive(t, "the end of Serve", e.done); err != nil {
		t.Fatal(err)
	}
	e.done <- nil
	e, operator = startOperated(t, dir, httpRoute("foo/bar", addr))
	if got := e.do(request{path: "/v1/algo/foo/bar?output=void", body: "three"}); got.status != 503 {
		t.Errorf("a new call after a restart = %d %s", got.status, got.body)
	}
	if s, err := operator.Status(t.Context()); err != nil || !s.Draining {
		t.Errorf("Status = %+v, %v", s, err)
	}
	if _, err := operator.Drain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	e.ended(e.void(request{body: "four"}))
}

// readBackup reads what an operator's backup has.
func readBackup(t *testing.T, c *operate.Client) (operate.Header, []operate.Item) {
	t.Helper()
	answer, err := c.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	r, err := operate.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var items []operate.Item
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header(), items
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
}

// TestBackupIsRestoredOnce: into a queue that is empty, results, dead letters and
// what waits come back under their request ids, once, however often it is done.
func TestBackupIsRestoredOnce(t *testing.T) {
	release := make(chan struct{})
	runs := make(chan string, 100)
	addr := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		runs <- string(body)
		if string(body) == "dies" {
			panic(http.ErrAbortHandler)
		}
		if strings.HasPrefix(string(body), "waits") {
			waittest.Hold(t, release)
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
	})
	route := httpRoute("foo/bar", addr)
	route.Concurrency = 1
	large := "waits" + strings.Repeat("x", 1<<20)
	e, operator := startOperated(t, t.TempDir(), route)
	kept, dead := e.void(request{body: "kept"}), e.void(request{body: "dies"})
	e.ended(kept)
	e.ended(dead)
	waits := []string{e.void(request{body: "waits 1"}), e.void(request{body: "waits 2"}), e.void(request{body: large})}
	eventually(t, "what has ended is off the queue", func() bool {
		s, err := operator.Status(t.Context())
		return err == nil && s.Waiting+s.Running == uint64(len(waits))
	})
	header, items := readBackup(t, operator)
	if done, err := operator.Restore(t.Context(), header, 0, items); err != nil || done.Added != 0 {
		t.Errorf("restored where all is there: %+v, %v; want nothing added", done, err)
	}
	close(release)
	for _, id := range waits {
		e.ended(id)
	}
	for range 5 {
		waittest.Receive(t, "a run", runs)
	}
	e, operator = startOperated(t, t.TempDir(), route) // another, empty
	for i, item := range items {
		if done, err := operator.Restore(t.Context(), header, uint64(i), []operate.Item{item}); err != nil || done.Added != 1 {
			t.Fatalf("restore of item %d %s%s %s: %+v, %v", i, item.Bucket, item.Kind, item.Key, done, err)
		}
	}
	if done, err := operator.Restore(t.Context(), header, 0, items); err != nil || done.Added != 0 || done.Skipped != uint64(len(items)) {
		t.Errorf("restored again: %+v, %v; want nothing added", done, err)
	}
	results := map[string]string{}
	for _, id := range append(waits, kept) {
		if state := e.ended(id)["state"]; state != "succeeded" {
			t.Errorf("call %s is %v, want succeeded", id, state)
		}
		results[id], _ = e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "/result"}).json(t)["result"].(string)
	}
	if diff := cmp.Diff(map[string]string{kept: "kept", waits[0]: "waits 1", waits[1]: "waits 2", waits[2]: large}, results); diff != "" {
		t.Errorf("results (-want +got):\n%.2000s", diff)
	}
	if n := len(runs); n != 3 {
		t.Errorf("%d runs after the restore, want those 3 that waited", n)
	}
	if list, err := operator.DeadLetters(t.Context(), "", 10); err != nil || len(list.Items) != 1 || list.Items[0].ID != dead {
		t.Errorf("dead letters = %+v, %v", list, err)
	}
	if _, err := operator.Restore(t.Context(), header, uint64(len(items)), nil); err != nil {
		t.Errorf("the end of the restore: %v", err)
	}
	var answered *operate.AnswerError
	if _, err := operator.Restore(t.Context(), header, 0, items); !errors.As(err, &answered) || answered.Status != http.StatusConflict {
		t.Errorf("a backup that was restored: %v, want a conflict", err)
	}
	header.LaunchID = "another"
	if _, err := operator.Restore(t.Context(), header, 0, items); err == nil || !strings.Contains(err.Error(), "of launch another") {
		t.Errorf("a backup of another launch: %v", err)
	}
}

// TestCallbacksAndBatchesAreRestoredOnce: what waits beside calls comes back too: a
// result that is to be posted is posted, a batch goes on where it was, and neither
// is stored again however often it is restored.
func TestCallbacksAndBatchesAreRestoredOnce(t *testing.T) {
	var away, held atomic.Bool
	away.Store(true)
	held.Store(true)
	posts := make(chan string, 10)
	receiver := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		posts <- r.Header.Get("webhook-id")
	})
	release := make(chan struct{})
	addr := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != "Neo" && held.Load() {
			waittest.Hold(t, release)
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
	})
	routes := config.Routes{Algorithms: []config.Route{httpRoute("foo/bar", addr)}, Callbacks: config.Callbacks{Allow: []string{"127.0.0.1"}}}
	e, operator := startOperatedOn(t, t.TempDir(), routes)
	id := e.void(request{body: "Neo", header: map[string]string{"X-Callback-URL": "http://" + receiver + "/"}})
	e.ended(id)
	batched := e.do(request{path: "/v1/batch/foo/bar", contentType: "application/jsonl", body: `"one"` + "\n" + `"two"` + "\n"})
	batchID, _ := batched.json(t)["batch_id"].(string)
	var header operate.Header
	var items []operate.Item
	eventually(t, "a callback and a part of a batch wait", func() bool {
		header, items = readBackup(t, operator)
		kinds := map[string]int{}
		for _, item := range items {
			kinds[item.Kind]++
		}
		return kinds["call"] == 0 && kinds[string(queue.KindCallback)] == 1 && kinds[string(queue.KindBatch)] == 1
	})
	if done, err := operator.Restore(t.Context(), header, 0, items); err != nil || done.Added != 0 {
		t.Errorf("restored where all is there: %+v, %v; want nothing added", done, err)
	}
	away.Store(false)
	held.Store(false)
	close(release)
	if got := waittest.Receive(t, "the callback", posts); got != id {
		t.Errorf("posted %q, want %q", got, id)
	}
	e, operator = startOperatedOn(t, t.TempDir(), routes) // another, empty
	if done, err := operator.Restore(t.Context(), header, 0, items); err != nil || done.Added != uint64(len(items)) {
		t.Fatalf("restored into an empty queue: %+v, %v; want all %d", done, err, len(items))
	}
	if got := waittest.Receive(t, "the callback that was restored", posts); got != id {
		t.Errorf("posted %q, want %q", got, id)
	}
	eventually(t, "the batch that was restored ends", func() bool {
		got := e.do(request{method: http.MethodGet, path: "/v1/batch/" + batchID})
		return got.status == 200 && got.json(t)["done"] == 2.0
	})
	if got := e.do(request{method: http.MethodGet, path: "/v1/batch/" + batchID + "/results"}); strings.Count(got.body, "\n") != 2 ||
		!strings.Contains(got.body, "one") || !strings.Contains(got.body, "two") {
		t.Errorf("the batch's results = %d %s", got.status, got.body)
	}
	// Both are off the queue by now, and only the notes of the restore tell, once
	// the queue itself has forgotten their ids.
	if notes, err := e.durable.Session().Queue.Keys(t.Context(), queue.BucketIdem, "restored.", 10); err != nil || len(notes) != 2 {
		t.Errorf("notes of what was restored: %q, %v; want two", notes, err)
	}
	if done, err := operator.Restore(t.Context(), header, 0, items); err != nil || done.Added != 0 || done.Skipped != uint64(len(items)) {
		t.Errorf("restored again: %+v, %v; want nothing added", done, err)
	}
	if n := len(posts); n != 0 {
		t.Errorf("%d callbacks more were posted", n)
	}
}
