package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const testSecret = " a launch's token\n"

// testTimeout bounds every wait for something that comes: on a machine that is
// slow, it comes late.
const testTimeout = 4 * time.Minute

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until f returns nil.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	ctx := testContext(t)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func startNode(t testing.TB, opts node.Options) *node.Node {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	if opts.Name == "" {
		opts.Name = "queue-0"
	}
	opts.Secret, opts.Log = []byte(testSecret), testLog(t)
	n, err := node.Start(testContext(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	return n
}

func connect(t testing.TB, opts Options) *Queue {
	t.Helper()
	opts.Secret, opts.Log = []byte(testSecret), testLog(t)
	if opts.StoreTimeout == 0 {
		opts.StoreTimeout, opts.AskTimeout = testTimeout, testTimeout
	}
	q, err := Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	eventually(t, "wait for the queue", q.Ready)
	return q
}

// single returns a queue of one node in this process.
func single(t testing.TB) *Queue {
	t.Helper()
	return connect(t, Options{Node: startNode(t, node.Options{})})
}

func publish(t testing.TB, q *Queue, m Message) Receipt {
	t.Helper()
	var r Receipt
	unknown := false
	eventually(t, "publish "+m.ID, func() (err error) {
		r, err = q.Publish(testContext(t), m)
		unknown = unknown || errors.Is(err, ErrUnknown)
		return err
	})
	r.Duplicate = r.Duplicate && !unknown
	return r
}

// set stores a record, again where a slow machine did not do it in time.
func set(t testing.TB, q *Queue, b Bucket, key string, value []byte) {
	t.Helper()
	eventually(t, "set "+key, func() error { return q.Set(testContext(t), b, key, value) })
}

func call(id string) Message {
	return Message{Kind: KindCall, Algorithm: "foo/bar", ID: id, Data: []byte("input of " + id)}
}

func take(t testing.TB, q *Queue, k Kind, algorithm string) *Delivery {
	t.Helper()
	var d *Delivery
	eventually(t, "take a message", func() (err error) {
		if d, err = q.Next(testContext(t), k, algorithm); err == nil && d == nil {
			err = errors.New("none there")
		}
		return err
	})
	return d
}

// TestTheFirstMessageWaitsForTheQueue: what comes before the streams are known
// to be right is not refused for it.
func TestTheFirstMessageWaitsForTheQueue(t *testing.T) {
	q, err := Connect(t.Context(), Options{Node: startNode(t, node.Options{}), Secret: []byte(testSecret), Log: testLog(t), StoreTimeout: testTimeout, AskTimeout: testTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.AwaitReady(t.Context()); err != nil {
		t.Errorf("the queue is not waited for: %v", err)
	}
	q.unsettle(errConnecting)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.AwaitReady(ctx); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a queue that is not there, for a caller who left: %v", err)
	}
}

func TestAMessageIsTakenOnceAndInOrder(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	header := map[string]string{"Content-Type": "text/plain; charset=\"x\"", "odd": " \r\nNats-Rollup: all ", "": "empty"}
	for i := range 5 {
		m := call(fmt.Sprint("id-", i))
		m.Header = header
		if r := publish(t, q, m); r.Duplicate || r.Seq != uint64(i+1) {
			t.Fatalf("message %d: receipt %+v", i, r)
		}
	}
	publish(t, q, Message{Kind: KindCall, Algorithm: "foo/other", ID: "x"})
	if r := publish(t, q, call("id-3")); !r.Duplicate || r.Seq != 4 {
		t.Errorf("the same id again: %+v, want a duplicate of 4", r)
	}
	if q.Last() != 6 {
		t.Errorf("last is %d, want 6", q.Last())
	}
	first := take(t, q, KindCall, "foo/bar")
	want := Message{Kind: KindCall, Algorithm: "foo/bar", ID: "id-0", Header: header, Data: []byte("input of id-0")}
	if diff := cmp.Diff(want, first.Message); diff != "" {
		t.Errorf("what came is not what was stored (-want +got):\n%s", diff)
	}
	if first.Delivered != 1 || first.Seq != 1 || time.Since(first.Stored) > time.Hour {
		t.Errorf("delivery %+v", first)
	}
	p, err := q.Pending(ctx, KindCall, "foo/bar")
	if err != nil || p.Waiting != 4 || p.Running != 1 || !p.Oldest.Equal(first.Stored) {
		t.Errorf("pending %+v, %v; want 4 that wait, 1 that runs, the oldest at %v", p, err, first.Stored)
	}
	if err := first.Working(); err != nil {
		t.Error(err)
	}
	for i := 1; i < 5; i++ {
		d := take(t, q, KindCall, "foo/bar")
		if d.ID != fmt.Sprint("id-", i) {
			t.Fatalf("message %d is %s: out of order", i, d.ID)
		}
		if err := d.Done(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Done(ctx); err != nil {
		t.Fatal(err)
	}
	if d, err := q.Next(ctx, KindCall, "foo/bar"); d != nil || err != nil {
		t.Errorf("after the last: %v, %v", d, err)
	}
	if _, err := q.Peek(ctx, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("a message that is done: %v, want ErrNotFound", err)
	}
	if s := q.State(ctx); !s.Reachable || s.Calls != 1 || s.Reason != "" {
		t.Errorf("state %+v, want one call", s)
	}
}

// TestTakingBesideOtherRequests has messages taken while the same connection asks
// for other things: no answer is mistaken for another's.
func TestTakingBesideOtherRequests(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	asking, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	for range 4 {
		others.Go(func() {
			for asking.Err() == nil {
				_, _ = q.Pending(asking, KindCall, "foo/bar")
			}
		})
	}
	for i := range 50 {
		publish(t, q, call(fmt.Sprint("id-", i)))
	}
	for i := range 50 {
		d := take(t, q, KindCall, "foo/bar")
		if want := fmt.Sprint("id-", i); d.ID != want || d.Delivered != 1 {
			t.Fatalf("message %d is %s at delivery %d, want %s at the first", i, d.ID, d.Delivered, want)
		}
		if err := d.Done(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMessageGivenBackComesAgain(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	var hints atomic.Int64
	stop := q.Watch(KindCall, "foo/bar", func() { hints.Add(1) })
	defer stop()
	publish(t, q, call("a"))
	for attempt := 1; attempt <= 3; attempt++ {
		d := take(t, q, KindCall, "foo/bar")
		if d.Delivered < attempt {
			t.Fatalf("attempt %d is told as %d", attempt, d.Delivered)
		}
		if err := d.Retry(time.Duration(attempt-1) * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := take(t, q, KindCall, "foo/bar").Done(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "hints of a message and its returns", func() error {
		if n := hints.Load(); n < 2 {
			return fmt.Errorf("%d hints", n)
		}
		return nil
	})
}

func TestReadingWithoutTaking(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	var seqs []uint64
	for i := range 6 {
		publish(t, q, Message{Kind: KindBatch, Algorithm: "foo/bar", ID: fmt.Sprint("b", i)})
		seqs = append(seqs, publish(t, q, call(fmt.Sprint(i))).Seq)
	}
	taken := take(t, q, KindCall, "foo/bar")
	for i, seq := range seqs {
		if p, err := q.Position(ctx, KindCall, "foo/bar", seq); err != nil || p != uint64(i) {
			t.Errorf("place of message %d is %d, %v", i, p, err)
		}
	}
	m, err := q.Peek(ctx, seqs[2])
	if err != nil || m.ID != "2" || string(m.Data) != "input of 2" {
		t.Errorf("peek: %+v, %v", m, err)
	}
	if err := q.Remove(ctx, seqs[2]); err != nil {
		t.Fatal(err)
	}
	if err := q.Remove(ctx, seqs[2]); !errors.Is(err, ErrNotFound) {
		t.Errorf("remove twice: %v, want ErrNotFound", err)
	}
	if _, err := q.Position(ctx, KindCall, "foo/bar", seqs[2]); !errors.Is(err, ErrNotFound) {
		t.Errorf("place of a removed one: %v, want ErrNotFound", err)
	}
	var ids []string
	err = q.PeekFrom(ctx, KindCall, "foo/bar", seqs[1], 3, func(p *Peeked) bool {
		ids = append(ids, p.ID)
		return true
	})
	if err != nil || !slices.Equal(ids, []string{"1", "3", "4"}) {
		t.Errorf("scan: %q, %v", ids, err)
	}
	// One that runs can be removed too; its worker then takes nothing else off.
	if err := q.Remove(ctx, taken.Seq); err != nil {
		t.Fatal(err)
	}
	if err := taken.Done(ctx); err != nil {
		t.Errorf("done after it was removed: %v", err)
	}
	if d := take(t, q, KindCall, "foo/bar"); d.ID != "1" {
		t.Errorf("next is %s, want 1", d.ID)
	}
}

func TestLargeDataIsStoredInPieces(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 15<<16) // 15 MiB
	data[len(data)-1] = 'X'
	large := call("large")
	large.Data = data
	seq := publish(t, q, large).Seq
	if r := publish(t, q, large); !r.Duplicate {
		t.Errorf("the same again: %+v", r)
	}
	small := publish(t, q, call("small"))
	if m, err := q.Peek(ctx, seq); err != nil || !bytes.Equal(m.Data, data) {
		t.Fatalf("peek: %v", err)
	}
	d := take(t, q, KindCall, "foo/bar")
	if d.ID != "large" || !bytes.Equal(d.Data, data) {
		t.Fatalf("took %s with %d bytes", d.ID, len(d.Data))
	}
	if n := stored1(t, q, pieceStream); n < 60 {
		t.Errorf("%d pieces are stored, want 60", n)
	}
	if err := d.Done(ctx); err != nil {
		t.Fatal(err)
	}
	if n := stored1(t, q, pieceStream); n != 0 {
		t.Errorf("%d pieces are left of a message that is done", n)
	}
	if d := take(t, q, KindCall, "foo/bar"); d.Seq != small.Seq {
		t.Errorf("next is %d, want %d", d.Seq, small.Seq)
	}
	set(t, q, BucketCall, "result", data)
	if v, _, err := q.Record(ctx, BucketCall, "result"); err != nil || !bytes.Equal(v, data) {
		t.Fatalf("a large record: %d bytes, %v", len(v), err)
	}
	if err := q.Delete(ctx, BucketCall, "result"); err != nil {
		t.Fatal(err)
	}
	if n := stored1(t, q, blobStream); n != 0 {
		t.Errorf("%d pieces are left of a record that is gone", n)
	}
}

func stored1(t testing.TB, q *Queue, stream string) uint64 {
	t.Helper()
	s, err := q.js.Stream(testContext(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestTheSweepTakesOnlyWhatNothingRefersTo(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	data := bytes.Repeat([]byte("x"), inline+1)
	large := call("large")
	large.Data = data
	seq := publish(t, q, large).Seq
	set(t, q, BucketDead, "letter", data)
	eventually(t, "put pieces", func() error {
		_, err := q.putPieces(ctx, pieceStream, data)
		return err
	})
	if err := q.sweep(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := stored1(t, q, pieceStream); n != 6 {
		t.Errorf("%d pieces after a sweep of old ones, want all 6", n)
	}
	if err := q.sweep(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if n := stored1(t, q, pieceStream); n != 4 {
		t.Errorf("%d pieces after a sweep, want the 4 that are referred to", n)
	}
	if m, err := q.Peek(ctx, seq); err != nil || !bytes.Equal(m.Data, data) {
		t.Errorf("the message after a sweep: %v", err)
	}
	if v, _, err := q.Record(ctx, BucketDead, "letter"); err != nil || !bytes.Equal(v, data) {
		t.Errorf("the dead letter after a sweep: %v", err)
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	q := single(t)
	ctx := testContext(t)
	if _, _, err := q.Record(ctx, BucketCall, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	one, err := q.Put(ctx, BucketCall, "a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Put(ctx, BucketCall, "a", []byte("x"), 0); !errors.Is(err, ErrConflict) {
		t.Errorf("put where one is: %v, want ErrConflict", err)
	}
	two, err := q.Put(ctx, BucketCall, "a", []byte("2"), one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Put(ctx, BucketCall, "a", []byte("x"), one); !errors.Is(err, ErrConflict) {
		t.Errorf("put over a newer one: %v, want ErrConflict", err)
	}
	if v, r, err := q.Record(ctx, BucketCall, "a"); err != nil || string(v) != "2" || r != two {
		t.Errorf("record %q %d, %v", v, r, err)
	}
	if _, _, err := q.Record(ctx, BucketIdem, "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the same key of another bucket: %v", err)
	}
	if err := q.Delete(ctx, BucketCall, "a"); err != nil {
		t.Fatal(err)
	}
	if err := q.Delete(ctx, BucketCall, "a"); err != nil {
		t.Errorf("delete twice: %v", err)
	}
	if _, err := q.Put(ctx, BucketCall, "a", nil, 0); err != nil {
		t.Errorf("put after delete: %v", err)
	}
	for i := range 60 {
		set(t, q, BucketChunk, fmt.Sprintf("batch-%d.%03d", i%2, i/2), []byte("v"))
	}
	for prefix, want := range map[string]int{"": 60, "batch-1.": 30, "batch-1.00": 10, "batch": 60, "none.": 0, "*.": 0, ">.": 0} {
		keys, err := q.Keys(ctx, BucketChunk, prefix, 1000)
		if err != nil || len(keys) != want {
			t.Errorf("%d keys begin with %q, %v; want %d", len(keys), prefix, err, want)
		}
	}
	keys, err := q.Keys(ctx, BucketChunk, "batch-1.", 3)
	if want := []string{"batch-1.000", "batch-1.001", "batch-1.002"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("first keys %q, %v", keys, err)
	}
	for _, key := range []string{"", ".", "a..b", "a.", ".a", "*", "a.>", "a b", "ä", strings.Repeat("a", 201)} {
		if err := q.Set(ctx, BucketCall, key, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("key %q: %v, want ErrInvalid", key, err)
		}
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	n := startNode(t, node.Options{})
	a, b := connect(t, Options{Node: n}), connect(t, Options{Node: n})
	got := make(chan string, 10)
	stop := b.OnSignal("cancel", func(data []byte) { got <- string(data) })
	defer stop()
	a.Signal("other", []byte("no"))
	eventually(t, "a signal", func() error {
		a.Signal("cancel", []byte("yes"))
		select {
		case s := <-got:
			if s != "yes" {
				t.Fatalf("got %q", s)
			}
			return nil
		default:
			return errors.New("nothing came")
		}
	})
}
