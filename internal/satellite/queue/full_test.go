package queue

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// fill publishes until the queue takes no more and returns how many it took.
func fill(t testing.TB, q *Queue, data []byte) int {
	t.Helper()
	for i := 0; ; {
		m := call(fmt.Sprint("call-", i))
		m.Data = data
		_, err := q.Publish(testContext(t), m)
		switch {
		case err == nil:
			i++
		case errors.Is(err, ErrFull):
			return i
		case !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable):
			t.Fatalf("message %d: %v, want ErrFull", i, err)
		}
		if i > 10_000 {
			t.Fatal("it is never full")
		}
	}
}

func drainsAndTakesAgain(t testing.TB, q *Queue, data []byte) {
	t.Helper()
	ctx := testContext(t)
	n := fill(t, q, data)
	if n == 0 {
		t.Fatal("it takes nothing")
	}
	holds(t, q, n)
	for i := range n {
		d := take(t, q, KindCall, "foo/bar")
		if want := fmt.Sprint("call-", i); d.ID != want || !bytes.Equal(d.Data, data) {
			t.Fatalf("message %d is %s with %d bytes", i, d.ID, len(d.Data))
		}
		// What a call leaves behind still has its place.
		set(t, q, BucketCall, d.ID, []byte("result"))
		eventually(t, "done", func() error { return d.Done(ctx) })
	}
	publish(t, q, call("again"))
}

func TestAFullStoreDrainsAndTakesAgain(t *testing.T) {
	t.Parallel()
	q := connect(t, Options{Node: startNode(t, node.Options{Size: 64 << 20}), Size: 64 << 20})
	drainsAndTakesAgain(t, q, make([]byte, inline))
}

func TestAFullStoreOfPiecesDrainsAndTakesAgain(t *testing.T) {
	t.Parallel()
	q := connect(t, Options{Node: startNode(t, node.Options{Size: 64 << 20}), Size: 64 << 20})
	drainsAndTakesAgain(t, q, make([]byte, 3<<20))
	if n := stored1(t, q, pieceStream); n != 0 {
		t.Errorf("%d pieces are left of messages that were refused or done", n)
	}
}

func TestAFullStoreOfThreeNodes(t *testing.T) {
	t.Parallel()
	_, q := startCluster(t, Options{Size: 64 << 20})
	drainsAndTakesAgain(t, q, make([]byte, inline))
}

func TestResultsThatFillTheirPlaceTakeNoNewWork(t *testing.T) {
	t.Parallel()
	q := connect(t, Options{Node: startNode(t, node.Options{Size: 64 << 20}), Size: 64 << 20})
	ctx := testContext(t)
	publish(t, q, call("before"))
	n := 0
	eventually(t, "it is full", func() error {
		set(t, q, BucketCall, fmt.Sprint("result-", n), make([]byte, inline))
		n++
		if err := q.settle(ctx); err != nil {
			return err
		}
		if err := q.Ready(); !errors.Is(err, ErrFull) {
			return fmt.Errorf("ready after %d results: %w", n, err)
		}
		return nil
	})
	if _, err := q.Publish(ctx, call("new")); !errors.Is(err, ErrFull) {
		t.Errorf("new work: %v, want ErrFull", err)
	}
	if _, err := q.Publish(ctx, Message{Kind: KindCallback, ID: "c"}); err != nil {
		t.Errorf("what follows from accepted work: %v", err)
	}
	// What was accepted has its place.
	set(t, q, BucketCall, "before", make([]byte, inline))
	if err := take(t, q, KindCall, "foo/bar").Done(ctx); err != nil {
		t.Error(err)
	}
	for i := range n {
		if err := q.Delete(ctx, BucketCall, fmt.Sprint("result-", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it takes work again", q.Ready)
	publish(t, q, call("new"))
}

func TestAFullDiskTakesNoNewWork(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(50 << 30)
	n := startNode(t, node.Options{Size: 10 << 30, Room: func(string) (int64, int64, error) { return free.Load(), 100 << 30, nil }})
	q := connect(t, Options{Node: n})
	ctx := testContext(t)
	publish(t, q, call("before"))
	free.Store(1 << 30)
	eventually(t, "it is full", func() error {
		if err := q.Ready(); !errors.Is(err, ErrFull) {
			return fmt.Errorf("ready: %w", err)
		}
		return nil
	})
	if _, err := q.Publish(ctx, call("new")); !errors.Is(err, ErrFull) {
		t.Errorf("new work: %v, want ErrFull", err)
	}
	if _, err := q.Publish(ctx, Message{Kind: KindCallback, ID: "c"}); err != nil {
		t.Errorf("what follows from accepted work: %v", err)
	}
	set(t, q, BucketCall, "before", []byte("result"))
	if err := take(t, q, KindCall, "foo/bar").Done(ctx); err != nil {
		t.Error(err)
	}
	free.Store(2 << 30)
	eventually(t, "it takes work again", q.Ready)
	publish(t, q, call("new"))
}
