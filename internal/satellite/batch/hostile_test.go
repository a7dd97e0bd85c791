package batch

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// TestAnEngineDies has one of two engines end without a word half way: its
// connection is gone, and so is what it had in hand.
func TestAnEngineDies(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	held := make(chan struct{})
	var calls atomic.Int64
	rep := startReplicas(t, 2, func(r *http.Request, body []byte) (int, string) {
		if calls.Add(1) > 500 {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		return 200, string(body)
	})
	first := startEngine(t, n, rep, nil)
	const lines = 1000
	s := first.post(strings.NewReader(numbered(1, lines)), "")
	eventually(t, "half of the lines have run", func() bool { return calls.Load() > 500 })
	second := startEngine(t, n, startReplicas(t, 2, nil), nil)
	first.q.Close()
	close(held)
	first.stop()
	second.await(s.ID, StateCompleted)
	checkWhole(t, second.output(s.ID+"/results"), lines)
	if got := second.get(s.ID); got.Done != lines || got.Failed != 0 {
		t.Errorf("the batch ends as %+v", got)
	}
}

// TestAnEngineStops has an engine stop in good order while lines run: they go to
// another one at once, and those that had ended do not run again.
func TestAnEngineStops(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	rep := startReplicas(t, 2, func(r *http.Request, body []byte) (int, string) {
		if string(body) == `{"n":60}` {
			<-r.Context().Done()
		}
		return 200, string(body)
	})
	first := startEngine(t, n, rep, nil)
	s := first.post(strings.NewReader(numbered(1, 300)), "")
	eventually(t, "all lines but one have run", func() bool { return rep.runs.Load() == 300 })
	first.stop()
	after := startReplicas(t, 2, nil)
	second := startEngine(t, n, after, nil)
	second.await(s.ID, StateCompleted)
	checkWhole(t, second.output(s.ID+"/results"), 300)
	if runs := after.runs.Load(); runs < 1 || runs > 2 { // an answer may be on its way to the engine that stops
		t.Errorf("the other engine ran %d lines, want the one that had not ended", runs)
	}
}

func TestResultsComeAsTheyEnd(t *testing.T) {
	t.Parallel()
	e := startEngine(t, startNode(t), startReplicas(t, 2, nil), nil)
	body, w := io.Pipe()
	defer func() { _ = w.Close() }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+vanity+"?stream=true", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "k1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer := bufio.NewReader(res.Body)
	for i := 1; i <= 3; i++ { // each line is sent once the result of the last is there
		if _, err := io.WriteString(w, numbered(i, i)); err != nil {
			t.Fatal(err)
		}
		line, err := answer.ReadString('\n')
		if want := fmt.Sprintf(`"line":%d,"result":{"n":%d}`, i, i); err != nil || !strings.Contains(line, want) {
			t.Fatalf("line %d is answered %q, %v, want %q", i, line, err, want)
		}
	}
	if _, err := io.WriteString(w, numbered(4, 500)); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	rest := readOutput(t, answer)
	if len(rest) != 497 || rest[0].Line != 4 || rest[496].Line != 500 {
		t.Errorf("the stream ends with %d more lines", len(rest))
	}
	id := res.Header.Get("X-Batch-Id")
	if s := e.get(id); s.State != StateCompleted {
		t.Errorf("once the stream has ended the batch is %+v", s)
	}
	checkWhole(t, e.output(id+"/results?follow=true"), 500)
}

// TestAClientStopsReading has a client that reads no results: its batch, and
// others', go on.
func TestAClientStopsReading(t *testing.T) {
	t.Parallel()
	large := `"` + strings.Repeat("x", 64<<10) + `"`
	e := startEngine(t, startNode(t), startReplicas(t, 2, func(*http.Request, []byte) (int, string) { return 200, large }), nil)
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(e.url, "http://"), Path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines := numbered(1, 400) // 25 MiB of results, beyond what sockets hold
	if _, err := fmt.Fprintf(conn, "POST %s%s?stream=true HTTP/1.1\r\nHost: x\r\nAuthorization: k1\r\nIdempotency-Key: deaf\r\nContent-Length: %d\r\n\r\n%s", Path, vanity, len(lines), lines); err != nil {
		t.Fatal(err)
	}
	id := (&Upload{VanityURL: vanity, KeyID: "k1", IdempotencyKey: "deaf"}).newID()
	eventually(t, "the batch is done", func() bool {
		r, _, err := e.read(t.Context(), id)
		return err == nil && !r.FinishedAt.IsZero()
	})
	if got := e.output(id + "/results"); len(got) != 400 || string(got[399].Result) != large {
		t.Errorf("the output has %d lines, want 400", len(got))
	}
}

// TestAnUploadWaitsForRoom has a batch that is uploaded faster than it runs.
func TestAnUploadWaitsForRoom(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	rep := startReplicas(t, 2, func(r *http.Request, body []byte) (int, string) {
		select {
		case <-open:
		case <-r.Context().Done():
		}
		return 200, string(body)
	})
	const lines = 5000
	e := startEngine(t, startNode(t), rep, func(o *Options) { o.MaxPending, o.StallTimeout = 8<<10, 10*time.Second })
	status, body := e.do(http.MethodPost, vanity, strings.NewReader(numbered(1, lines)), "Idempotency-Key", "slow")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "lines are stored and run") {
		t.Fatalf("an upload that finds no room = %d %s", status, body)
	}
	id := (&Upload{VanityURL: vanity, KeyID: "k1", IdempotencyKey: "slow"}).newID()
	if s := e.get(id); s.State != StateUploading || s.Lines == 0 || s.Lines > lines/2 {
		t.Errorf("it leaves %+v", s)
	}
	close(open)
	eventually(t, "the upload goes through", func() bool {
		status, _ := e.do(http.MethodPost, vanity, strings.NewReader(numbered(1, lines)), "Idempotency-Key", "slow")
		return status == http.StatusOK
	})
	e.await(id, StateCompleted)
	checkWhole(t, e.output(id+"/results"), lines)
	if runs := rep.runs.Load(); runs != lines {
		t.Errorf("%d lines ran %d times", lines, runs)
	}
}

// TestMemoryAndDiskAreBounded uploads 100 MB through a queue whose volume has 64 MiB,
// and looks meanwhile at what this process holds, which is the engine, the replicas
// and the queue's node, and at what the node has on its disk.
func TestMemoryAndDiskAreBounded(t *testing.T) {
	const lines, size, volume = 50_000, 2000, 64 << 20
	dir := t.TempDir()
	rep := startReplicas(t, 2, func(*http.Request, []byte) (int, string) { return 200, "1" })
	e := startEngineOn(t, startNodeOn(t, dir, volume), volume, rep, func(o *Options) { o.MaxPending = 4 << 20 })
	pad := strings.Repeat("x", size)
	body, w := io.Pipe()
	go func() {
		for i := range lines {
			if _, err := fmt.Fprintf(w, "{\"n\":%d,\"pad\":%q}\n", i, pad); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	ctx, stop := context.WithCancel(t.Context())
	type held struct{ heap, disk int64 }
	most := make(chan held, 1)
	go func() {
		var all held
		for sleep(ctx, 200*time.Millisecond) == nil {
			all = held{max(all.heap, heap()), max(all.disk, onDisk(dir))}
		}
		most <- all
	}()
	s := e.post(body, "")
	e.await(s.ID, StateCompleted)
	stop()
	all := <-most
	grown := (all.heap - before) >> 20
	t.Logf("100 MB of input: the heap grew by %d MiB at most, and the disk had %d MiB", grown, all.disk>>20)
	if grown > 64 {
		t.Errorf("100 MB of input: the heap grew by %d MiB at most, want 64 MiB or less", grown)
	}
	if all.disk == 0 || all.disk > volume/2 {
		t.Errorf("100 MB of input: the disk had %d MiB at most, want less than half of its %d", all.disk>>20, volume>>20)
	}
	if s = e.get(s.ID); s.Done != lines {
		t.Errorf("the batch ends as %+v", s)
	}
}

// onDisk returns how many bytes a folder's files have. One that goes meanwhile has none.
func onDisk(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // it went
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// TestABatchThatFillsTheQueue: results find no room half way, since others have it.
// The upload is told so, and the same lines go on once there is room: none runs
// again that has run.
func TestABatchThatFillsTheQueue(t *testing.T) {
	t.Parallel()
	const lines, volume = 700, 64 << 20
	pad := strings.Repeat("x", 8<<10)
	rep := startReplicas(t, 4, func(_ *http.Request, body []byte) (int, string) {
		return 200, strings.TrimSuffix(string(body), "}") + `,"pad":"` + pad + `"}`
	})
	e := startEngineOn(t, startNodeOn(t, t.TempDir(), volume), volume, rep, func(o *Options) { o.MaxPending, o.StallTimeout = 1<<10, 2*time.Second })
	others := []string{"a", "b", "c", "d", "e"}
	for _, key := range others {
		if err := e.q.Set(t.Context(), queue.BucketCall, key, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	send := func() (int, string) {
		return e.do(http.MethodPost, vanity, strings.NewReader(numbered(1, lines)), "Idempotency-Key", "fills")
	}
	status, body := send()
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "no room for more of the batch") || !strings.Contains(body, "lines are stored and run: send the batch again") {
		t.Fatalf("a batch whose results find no room = %d %s", status, body)
	}
	id := (&Upload{VanityURL: vanity, KeyID: "k1", IdempotencyKey: "fills"}).newID()
	s := e.get(id)
	half := e.output(id + "/results")
	t.Logf("when there is no room %d of %d lines are stored and %d have results", s.Lines, lines, len(half))
	if s.State != StateUploading || s.Lines == 0 || s.Lines >= lines || len(half) == 0 || int64(len(half)) > s.Lines {
		t.Errorf("without room it is %+v, with %d results", s, len(half))
	}
	for _, key := range others {
		if err := e.q.Delete(t.Context(), queue.BucketCall, key); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the same lines go on", func() bool { status, _ := send(); return status == http.StatusOK })
	e.await(id, StateCompleted)
	all := e.output(id + "/results")
	for i, o := range all {
		if o.Line != int64(i+1) || o.Error != nil || !strings.HasPrefix(string(o.Result), fmt.Sprintf(`{"n":%d,"pad":`, i+1)) {
			t.Fatalf("output %d is line %d, %.60s, %+v", i, o.Line, o.Result, o.Error)
		}
	}
	if n := rep.runs.Load(); len(all) != lines || n != lines {
		t.Errorf("%d lines ran %d times and have %d results", lines, n, len(all))
	}
}

var _ async.Runner = (*replicas)(nil)
