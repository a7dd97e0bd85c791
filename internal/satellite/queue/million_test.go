//go:build durability

package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// TestDurabilityMillion has a million calls wait on a node that stands alone: what
// they take of it, and whether all that is asked of the queue is answered as fast as
// without them.
func TestDurabilityMillion(t *testing.T) {
	const many, tenth = 1_000_000, 100_000
	at := loopback() + "1:4222"
	n := &testNode{t: t, opts: node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: []byte(testSecret), ClientListen: at}}
	t.Cleanup(n.kill)
	n.start()
	q := connect(t, Options{Servers: []string{at}, Marker: &memoryMarker{}})
	publishMany(t, q, 0, 100)
	before := resident(t, n.process.Process.Pid)
	few := questions(t, q)
	t.Logf("with 100 calls: %d MiB, %v", before>>20, few)
	begun := time.Now()
	for i := 100; i < many; i += tenth {
		last := time.Now()
		publishMany(t, q, i, min(tenth, many-i))
		t.Logf("%7d calls after %.0f s, the last %d at %.0f a second; the node has %d MiB",
			min(i+tenth, many), time.Since(begun).Seconds(), tenth, tenth/time.Since(last).Seconds(), resident(t, n.process.Process.Pid)>>20)
	}
	if used := resident(t, n.process.Process.Pid); used > 512<<20 {
		t.Errorf("the node has %d MiB", used>>20)
	}
	lots := questions(t, q)
	t.Logf("with %d calls: %v", many, lots)
	for what, took := range lots {
		if took > time.Second {
			t.Errorf("%s takes %v", what, took)
		}
	}
	for _, end := range []func(){n.stop, n.kill} {
		end()
		begun = time.Now()
		n.start()
		eventually(t, "the queue is back", q.Ready)
		took := time.Since(begun)
		t.Logf("started again after %.1f s with %d MiB", took.Seconds(), resident(t, n.process.Process.Pid)>>20)
		if took > time.Minute {
			t.Errorf("it starts in %v", took)
		}
	}
	if p, err := q.Pending(testContext(t), KindCall, "foo/bar"); err != nil || p.Waiting+p.Running != many {
		t.Errorf("%+v wait, %v; want %d", p, err, many)
	}
	if d := take(t, q, KindCall, "foo/bar"); d.Seq != 1 {
		t.Errorf("the first one taken is number %d", d.Seq)
	}
}

// questions returns how long questions of the queue take.
func questions(t *testing.T, q *Queue) map[string]time.Duration {
	t.Helper()
	var last uint64
	times := map[string]time.Duration{}
	for what, ask := range map[string]func() error{
		"status": func() error {
			if s := q.State(testContext(t)); !s.Reachable {
				return fmt.Errorf("the state is %+v", s)
			}
			return nil
		},
		"pending": func() error { _, err := q.Pending(testContext(t), KindCall, "foo/bar"); return err },
		"accept": func() error {
			r, err := q.Publish(testContext(t), Message{Kind: KindBatch, Algorithm: "foo/bar", ID: fmt.Sprint(time.Now().UnixNano())})
			last = r.Seq
			return err
		},
		"observe": func() error { return q.observe(testContext(t), 0) },
	} {
		begun := time.Now()
		eventually(t, what, ask)
		times[what] = time.Since(begun)
	}
	if err := q.Remove(testContext(t), last); err != nil {
		t.Error(err)
	}
	return times
}
