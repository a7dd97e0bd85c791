package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keeper is what a satellite keeps, in memory.
type keeper struct {
	mu       sync.Mutex
	drained  bool
	letters  []DeadLetter
	items    []Item
	restored []Item
	breaks   bool // the backup breaks off
}

func (k *keeper) Status(context.Context) Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Status{State: StateOK, Draining: k.drained, Dead: uint64(len(k.letters)), Lost: []Loss{{Calls: 3}, {Calls: 4}}}
}

func (k *keeper) Drain(_ context.Context, on bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drained = on
	return nil
}

func (k *keeper) Backup(_ context.Context, put func(Item) error) error {
	for _, item := range k.items {
		if err := put(item); err != nil {
			return err
		}
	}
	if k.breaks {
		return ErrUnavailable
	}
	return nil
}

func (k *keeper) Restore(_ context.Context, _ Header, first uint64, items []Item) (Restored, error) {
	k.restored = append(k.restored, items...)
	return Restored{Next: first + uint64(len(items)), Added: uint64(len(items))}, nil
}

func (k *keeper) List(_ context.Context, vanityURL string, limit int) (DeadLetters, error) {
	list := DeadLetters{Items: []DeadLetter{}, Total: uint64(len(k.letters))}
	for _, l := range k.letters {
		if (vanityURL == "" || l.VanityURL == vanityURL) && len(list.Items) < limit {
			list.Items = append(list.Items, l)
		}
	}
	return list, nil
}

func (k *keeper) Show(_ context.Context, id string) (DeadLetter, error) {
	for _, l := range k.letters {
		if l.ID == id {
			return l, nil
		}
	}
	return DeadLetter{}, fmt.Errorf("%s is no dead letter: %w", id, ErrNotFound)
}

func (k *keeper) Retry(_ context.Context, ids []string) (BulkResult, error) {
	return BulkResult{Done: len(ids), Failed: []ItemError{}}, nil
}

func (k *keeper) Drop(_ context.Context, ids []string) (BulkResult, error) {
	return BulkResult{Failed: []ItemError{{ID: ids[0], Reason: "it is held"}}}, nil
}

const token = "cst_launch_token"

// serve returns an engine's routes over what k keeps, and a client of them.
func serve(t *testing.T, k *keeper) (*Client, string) {
	t.Helper()
	o := Options{Token: token, Launch: func() string { return "lau" }, Queue: func() Queue { return nil }, DeadLetters: func() DeadLetterStore { return nil }}
	if k != nil {
		o.Queue, o.DeadLetters = func() Queue { return k }, func() DeadLetterStore { return k }
	}
	server := httptest.NewServer(Handler(o))
	t.Cleanup(server.Close)
	return NewClient(token, server.URL, http.DefaultTransport), server.URL
}

func TestOperator(t *testing.T) {
	t.Parallel()
	k := &keeper{letters: []DeadLetter{{ID: "req-1", VanityURL: "a/b", Input: []byte{1}}, {ID: "req-2", VanityURL: "c/d"}}}
	c, _ := serve(t, k)
	ctx := t.Context()
	if _, err := c.Drain(ctx, true); err != nil {
		t.Fatal(err)
	}
	status, err := c.Status(ctx)
	if err != nil || status.State != StateOK || !status.Draining || status.Dead != 2 || status.LostCalls() != 7 {
		t.Errorf("Status = %+v, %v", status, err)
	}
	list, err := c.DeadLetters(ctx, "c/d", 5)
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != "req-2" || list.Total != 2 {
		t.Errorf("Dead = %+v, %v", list, err)
	}
	letter, err := c.DeadLetter(ctx, "req-1")
	if diff := cmp.Diff(k.letters[0], letter); diff != "" || err != nil {
		t.Errorf("Letter: %v (-want +got):\n%s", err, diff)
	}
	if done, err := c.Retry(ctx, []string{"req-1", "req-2"}); err != nil || done.Done != 2 {
		t.Errorf("Retry = %+v, %v", done, err)
	}
	if done, err := c.Drop(ctx, []string{"req-1"}); err != nil || len(done.Failed) != 1 || done.Failed[0].Reason != "it is held" {
		t.Errorf("Drop = %+v, %v", done, err)
	}
}

func TestOperatorIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, &keeper{})
	ctx := t.Context()
	off, _ := serve(t, nil)
	if s, err := off.Status(ctx); err != nil || s.State != StateOff {
		t.Errorf("Status without a queue = %+v, %v", s, err)
	}
	for name, test := range map[string]struct {
		ask    func() error
		status int
		says   string
	}{
		"no queue":     {func() error { _, err := off.DeadLetters(ctx, "", 1); return err }, 404, "has no queue"},
		"no letter":    {func() error { _, err := c.DeadLetter(ctx, "req-9"); return err }, 404, "req-9 is no dead letter"},
		"odd id":       {func() error { _, err := c.Drop(ctx, []string{"a b"}); return err }, 400, "no id of a dead letter"},
		"no ids":       {func() error { _, err := c.Retry(ctx, nil); return err }, 400, "request_ids has 1 to"},
		"limit":        {func() error { _, err := c.DeadLetters(ctx, "", 0); return err }, 400, "limit is a whole number"},
		"too large":    {func() error { _, err := c.Retry(ctx, []string{strings.Repeat("x", maxBody)}); return err }, 413, "more than"},
		"unknown word": {func() error { return c.json(ctx, http.MethodPost, "drain", map[string]int{"off": 1}, new(Drain)) }, 400, "unknown field"},
		"no drain":     {func() error { return c.json(ctx, http.MethodPost, "drain", struct{}{}, new(Drain)) }, 400, "the body says"},
		"no backup": {func() error {
			a, err := c.ask(ctx, http.MethodPost, "restore?first=0", []byte("no backup\n"))
			_ = a
			return err
		}, 400, "no backup of a queue"},
	} {
		var answered *AnswerError
		if err := test.ask(); !errors.As(err, &answered) || answered.Status != test.status || !strings.Contains(answered.Message, test.says) {
			t.Errorf("%s: error = %v, want %d with %q", name, err, test.status, test.says)
		}
	}
}

// TestOnlyWhoKnowsTheToken: neither without a proof, nor with one of another
// token, another request, another body, a second time, or too late.
func TestOnlyWhoKnowsTheToken(t *testing.T) {
	t.Parallel()
	_, url := serve(t, &keeper{})
	wrong := NewClient("another", url, http.DefaultTransport)
	if _, err := wrong.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "launch's token") {
		t.Errorf("another token: error = %v", err)
	}
	now := time.Now()
	g := newChallenger(token, func() time.Time { return now })
	request := func(method, uri, challenge, signedMethod, signedURI string) *http.Request {
		r := httptest.NewRequest(method, uri, nil)
		r.Header.Set(digestHeader, digestOf(nil))
		r.Header.Set("Authorization", proofScheme+challenge+"."+prove(g.key, signedMethod, signedURI, challenge, digestOf(nil)))
		return r
	}
	challenge := g.challenge()
	if err := g.admit(request("POST", "/v1/queue/drain", challenge, "GET", "/v1/queue/drain")); err == nil {
		t.Error("the proof of another method is good")
	}
	if err := g.admit(request("GET", "/v1/queue/backup", challenge, "GET", "/v1/queue/status")); err == nil {
		t.Error("the proof of another address is good")
	}
	if err := g.admit(request("GET", "/v1/queue/status", "AAAA", "GET", "/v1/queue/status")); err == nil {
		t.Error("a challenge that was made up is good")
	}
	good := func() *http.Request {
		return request("GET", "/v1/queue/status", challenge, "GET", "/v1/queue/status")
	}
	if err := g.admit(good()); err != nil {
		t.Errorf("the right proof: error = %v", err)
	}
	if err := g.admit(good()); err == nil {
		t.Error("a proof is good twice")
	}
	challenge, now = g.challenge(), now.Add(challengeLife+time.Second)
	if err := g.admit(good()); err == nil {
		t.Error("an old challenge is good")
	}
	for _, header := range []string{"", "Bearer " + token, proofScheme, proofScheme + "x"} {
		r := httptest.NewRequest("GET", "/v1/queue/status", nil)
		r.Header.Set("Authorization", header)
		if err := g.admit(r); err == nil {
			t.Errorf("%q is good", header)
		}
	}
}

var someItems = []Item{
	{Kind: "call", Algorithm: "a/b", ID: "t1", Header: map[string]string{"Call": "{}\n"}, Seq: 7, Data: []byte("in\nput\n")},
	{Bucket: "call", Key: "t0", Data: bytes.Repeat([]byte{0, '\n'}, 1<<20)},
	{Bucket: "dead", Key: "t2"},
}

func TestBackup(t *testing.T) {
	t.Parallel()
	k := &keeper{items: someItems}
	c, _ := serve(t, k)
	answer, err := c.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(answer)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h.LaunchID != "lau" || h.ID == "" {
		t.Errorf("header = %+v", h)
	}
	var items []Item
	for {
		item, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	same := cmp.Comparer(bytes.Equal)
	if diff := cmp.Diff(someItems, items, same); diff != "" {
		t.Errorf("items (-want +got):\n%.2000s", diff)
	}
	done, err := c.Restore(t.Context(), r.Header(), 5, items)
	if err != nil || done.Next != 8 || done.Added != 3 {
		t.Errorf("Restore = %+v, %v", done, err)
	}
	if diff := cmp.Diff(someItems, k.restored, same); diff != "" {
		t.Errorf("restored (-want +got):\n%.2000s", diff)
	}
}

// TestBackupThatBreaksOff is seen by whoever reads it.
func TestBackupThatBreaksOff(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, &keeper{items: someItems, breaks: true})
	answer, err := c.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(answer)
	if err == nil {
		err = check(file)
	}
	if err == nil {
		t.Error("a backup that broke off is taken for whole")
	}
}

func check(file []byte) error {
	_, _, err := readPart(file)
	return err
}

func TestBackupThatIsNotWhatWasWritten(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := NewWriter(&b, NewHeader("lau", time.Now()))
	for _, item := range []Item{someItems[0], someItems[2]} {
		if err := w.Put(item); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	if err := check(file); err != nil {
		t.Fatalf("a whole backup: %v", err)
	}
	for n := range file {
		if err := check(file[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a backup", n, len(file))
		}
	}
	for i := range file {
		if file[i] == '\n' && i == len(file)-1 {
			continue
		}
		odd := bytes.Clone(file)
		odd[i] ^= 1
		if err := check(odd); err == nil {
			t.Errorf("byte %d changed from %q to %q, and it is taken for a backup", i, file[i], odd[i])
		}
	}
	if err := check(append(bytes.Clone(file), 'x')); err == nil {
		t.Error("something follows, and it is taken for a backup")
	}
	newer := bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2`), 1)
	if err := check(newer); err == nil || !strings.Contains(err.Error(), "form 2") {
		t.Errorf("a backup of a newer form: %v", err)
	}
	if err := check([]byte("{}\n")); err == nil || !strings.Contains(err.Error(), "no backup") {
		t.Errorf("what is no backup: %v", err)
	}
	long := []byte(`{"format":"` + strings.Repeat("x", maxLine+1))
	if err := check(long); err == nil {
		t.Error("a line without an end is taken for a backup")
	}
}
