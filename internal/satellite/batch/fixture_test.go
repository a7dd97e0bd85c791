package batch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const vanity = "foo/bar"

// roomy is the size of a volume that no test fills.
const roomy = 4 << 30

// startNode starts a queue of one node.
func startNode(t *testing.T) *node.Node { return startNodeOn(t, t.TempDir(), roomy) }

// startNodeOn starts one in a folder that takes so many bytes.
func startNodeOn(t *testing.T, dir string, size int64) *node.Node {
	t.Helper()
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: dir, Size: size, Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Errorf("close the node: %v", err)
		}
	})
	return n
}

const secret = "0123456789abcdef0123456789abcdef"

func connect(t *testing.T, n *node.Node, size int64) *queue.Queue {
	t.Helper()
	q, err := queue.Connect(t.Context(), queue.Options{Node: n, Secret: []byte(secret), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the queue is ready", func() bool { return q.Ready() == nil })
	return q
}

// replicas makes calls on a real HTTP server, slots of them at once.
type replicas struct {
	slots chan struct{}
	url   string
	runs  atomic.Int64
	most  atomic.Int64
	at    atomic.Int64
}

// startReplicas starts replicas that answer with what answer returns, or with the
// input when that is nil.
func startReplicas(t *testing.T, slots int, answer func(r *http.Request, body []byte) (status int, reply string)) *replicas {
	t.Helper()
	rep := &replicas{slots: make(chan struct{}, slots)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		rep.runs.Add(1)
		at := rep.at.Add(1)
		defer rep.at.Add(-1)
		for {
			most := rep.most.Load()
			if at <= most || rep.most.CompareAndSwap(most, at) {
				break
			}
		}
		status, reply := 200, string(body)
		if answer != nil {
			status, reply = answer(r, body)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(server.Close)
	rep.url = server.URL
	return rep
}

type slot struct{ r *replicas }

func (r *replicas) Reserve(ctx context.Context, _ string, _ bool) (async.Slot, error) {
	select {
	case r.slots <- struct{}{}:
		return slot{r}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (r *replicas) Run(ctx context.Context, in async.Input) async.Outcome {
	s, err := r.Reserve(ctx, in.VanityURL, false)
	if err != nil {
		return async.Outcome{Ended: protocol.OutcomeCanceled, Retry: true}
	}
	return s.Run(ctx, in)
}

func (s slot) Release() { <-s.r.slots }

func (s slot) Run(ctx context.Context, in async.Input) async.Outcome {
	defer s.Release()
	failed := func(ended protocol.Outcome, retry bool, message string) async.Outcome {
		return async.Outcome{Status: 200, Body: badLine(message), Ended: ended, Message: message, Retry: retry}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.r.url, bytes.NewReader(in.Body))
	if err != nil {
		return failed(protocol.OutcomeFault, false, err.Error())
	}
	req.Header.Set("X-Request-Id", in.RequestID)
	res, err := http.DefaultClient.Do(req)
	if ctx.Err() != nil {
		return failed(protocol.OutcomeCanceled, true, "cut")
	}
	if err != nil {
		return failed(protocol.OutcomeLost, true, err.Error())
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return failed(protocol.OutcomeLost, true, err.Error())
	case res.StatusCode == http.StatusBadGateway:
		return failed(protocol.OutcomeLost, true, "the replica was lost")
	case res.StatusCode != http.StatusOK:
		return failed(protocol.OutcomeError, false, string(body))
	}
	return async.Outcome{Status: 200, ContentType: protocol.MediaJSON, Body: fmt.Appendf(nil, `{"result":%s,"metadata":{"content_type":"json","duration":0}}`, body)}
}

// engine is a service with its HTTP addresses, as an engine has them.
type engine struct {
	*Service
	t    *testing.T
	url  string
	stop func() // and waits
	q    *queue.Queue
}

func startEngine(t *testing.T, n *node.Node, runner async.Runner, change func(*Options)) *engine {
	t.Helper()
	return startEngineOn(t, n, roomy, runner, change)
}

// startEngineOn starts one on a node of that size.
func startEngineOn(t *testing.T, n *node.Node, size int64, runner async.Runner, change func(*Options)) *engine {
	t.Helper()
	e := &engine{t: t, q: connect(t, n, size)}
	o := Options{
		Queue: e.q, Runner: runner, Algorithms: func() []string { return []string{vanity} },
		Spend: func(string, string) (time.Duration, error) { return 0, nil },
	}
	if change != nil {
		change(&o)
	}
	e.Service = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { e.Run(ctx) })
	server := httptest.NewServer(e)
	e.url = server.URL + "/v1/batch/"
	e.stop = sync.OnceFunc(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		done.Wait()
		e.q.Close()
	})
	t.Cleanup(e.stop)
	return e
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller := Caller{KeyID: r.Header.Get("Authorization"), May: func(string) bool { return r.Header.Get("Authorization") != "stranger" }}
	rest := strings.TrimPrefix(r.URL.Path, Path)
	var f *protocol.Failure
	if r.Method == http.MethodPost {
		f = e.ServeUpload(w, r, caller, rest)
	} else {
		f = e.Serve(w, r, caller, rest)
	}
	if f != nil {
		w.WriteHeader(f.Status)
		_, _ = w.Write(badLine(f.Message))
	}
}

// do returns the status and the body of an answer.
func (e *engine) do(method, path string, body io.Reader, header ...string) (int, string) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "k1")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Errorf("%s %s: %v after %q", method, path, err, got)
	}
	return res.StatusCode, string(got)
}

// post uploads lines and returns what is told of the batch.
func (e *engine) post(lines io.Reader, query string, header ...string) Status {
	e.t.Helper()
	status, body := e.do(http.MethodPost, vanity+query, lines, header...)
	if status != http.StatusOK {
		e.t.Fatalf("POST %s%s = %d %s", vanity, query, status, body)
	}
	return e.parse(body)
}

// breakOff uploads lines, waits until they are stored, and hangs up within the
// next one. It returns the batch's ID.
func (e *engine) breakOff(idempotencyKey, lines, cut string) string {
	e.t.Helper()
	id := (&Upload{VanityURL: vanity, KeyID: "k1", IdempotencyKey: idempotencyKey}).newID()
	body, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if status, answer := e.do(http.MethodPost, vanity, body, "Idempotency-Key", idempotencyKey); status == http.StatusOK {
			e.t.Errorf("a broken upload is answered %d %s", status, answer)
		}
	}()
	if _, err := io.WriteString(w, lines+cut); err != nil {
		e.t.Fatal(err)
	}
	eventually(e.t, "the lines are stored", func() bool {
		r, _, err := e.read(e.t.Context(), id)
		return err == nil && r.Stored.Lines == int64(strings.Count(lines, "\n"))
	})
	_ = w.CloseWithError(errors.New("the client hangs up"))
	<-ended
	return id
}

func (e *engine) parse(body string) (s Status) {
	e.t.Helper()
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		e.t.Fatalf("%s: %v", body, err)
	}
	return s
}

func (e *engine) get(id string) Status {
	e.t.Helper()
	status, body := e.do(http.MethodGet, id, nil)
	if status != http.StatusOK {
		e.t.Fatalf("GET %s = %d %s", id, status, body)
	}
	return e.parse(body)
}

// await waits until a batch is in a state.
func (e *engine) await(id, state string) (s Status) {
	e.t.Helper()
	eventually(e.t, "the batch is "+state, func() bool { s = e.get(id); return s.State == state })
	return s
}

// out is a line of output.
type out struct {
	CustomID *string         `json:"custom_id"`
	Line     int64           `json:"line"`
	Result   json.RawMessage `json:"result"`
	Error    *struct {
		Message string `json:"message"`
	} `json:"error"`
	Metadata map[string]any `json:"metadata"`
}

func (e *engine) output(path string) []out {
	e.t.Helper()
	status, body := e.do(http.MethodGet, path, nil)
	if status != http.StatusOK {
		e.t.Fatalf("GET %s = %d %s", path, status, body)
	}
	return readOutput(e.t, strings.NewReader(body))
}

func readOutput(t *testing.T, r io.Reader) (all []out) {
	t.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var o out
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatalf("%.200s: %v", lines.Bytes(), err)
		}
		if o.Metadata == nil {
			t.Fatalf("%.200s: no metadata", lines.Bytes())
		}
		all = append(all, o)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkWhole checks that the output has lines 1 to n, once each and in order,
// with their inputs as results.
func checkWhole(t *testing.T, all []out, n int) {
	t.Helper()
	for i, o := range all {
		if want := int64(i + 1); o.Line != want || o.Error != nil || string(o.Result) != fmt.Sprintf(`{"n":%d}`, want) {
			t.Fatalf("output %d is line %d, %s, %+v; want line %d", i, o.Line, o.Result, o.Error, want)
		}
	}
	if len(all) != n {
		t.Fatalf("the output has %d lines, want %d", len(all), n)
	}
}

// numbered returns lines from..to, each with its number.
func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	return b.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
