//go:build durability

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// everyProcess kills, while one set of calls runs, the queue's nodes one after the
// other, then the engines, and then all nodes at once. Of each replica, an engine
// that dies may take one call with it that runs, and one whose result is not stored
// yet; a node takes none.
func (d *durable) everyProcess(t *testing.T) {
	w := d.acceptMany(t, "killed", 1000, .3)
	for _, node := range queueNames {
		d.restarted(t, node, func() { d.signal(t, syscall.SIGKILL, d.found(t, queueProcess, named(node))) })
		d.nodesReady(t, 3)
	}
	w.twice(t, 0)
	d.restarted(t, engineName, func() { d.signal(t, syscall.SIGKILL, d.found(t, engineProcess)) })
	w.unfinished(t, "the engines were killed")
	d.restarted(t, "queue-", func() { d.signal(t, syscall.SIGKILL, d.found(t, queueProcess)) })
	d.nodesReady(t, 3)
	w.unfinished(t, "all nodes were killed at once")
	w.ended(t)
	w.ran(t)
	w.twice(t, 2*slowReplicas)
	d.lost(t, 0)
}

// unfinished checks that calls still wait: what was done was done beside them.
func (w *work) unfinished(t *testing.T, after string) {
	t.Helper()
	s := w.queueStatus(t)
	t.Logf("after %s %d calls wait", after, s.Waiting)
	if s.Waiting == 0 {
		t.Errorf("no call waits any more after %s: more are needed, or longer ones", after)
	}
}

func (d *durable) oneDisk(t *testing.T) {
	w := d.acceptMany(t, "wiped", 1000, .05)
	d.wipe(t, d.queueLeader(t))
	d.nodesReady(t, 3)
	w.ended(t)
	w.ran(t)
	w.twice(t, 0)
	d.lost(t, 0)
}

// acceptedWhile makes calls one after the other for a time, and returns how many
// were accepted, how many were not, and what of them is to come to an end.
func (d *durable) acceptedWhile(t *testing.T, name string, length time.Duration) (accepted, refused int, w *work) {
	t.Helper()
	w = &work{durable: d, name: name}
	for end := time.Now().Add(length); time.Now().Before(end); {
		i := len(w.ids)
		status, answer, err := d.once(t.Context(), "POST", "/v1/algo/"+slow+"?output=void", "application/json", w.body(i), "")
		switch {
		case err == nil && status == 200:
			accepted++
			_, id, _ := strings.Cut(answer, `"request_id":"`)
			w.ids = append(w.ids, id[:strings.IndexByte(id, '"')])
		case err == nil && status == 503:
			refused++
			time.Sleep(100 * time.Millisecond)
		default:
			t.Fatalf("a call = %d %s, %v", status, answer, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return accepted, refused, w
}

const linksCut = time.Minute

func (d *durable) allLinks(t *testing.T) {
	w := d.acceptMany(t, "cut", 1000, .05)
	mend := d.cut(t, queueNames...)
	accepted, refused, _ := d.acceptedWhile(t, "none", linksCut)
	mend()
	t.Logf("while no node reached another: %d calls accepted, %d refused", accepted, refused)
	d.nodesReady(t, 3)
	w.ended(t)
	w.ran(t)
	w.twice(t, slowReplicas)
	d.lost(t, 0)
}

// oneNode cuts off the node that leads; the others are a majority.
func (d *durable) oneNode(t *testing.T) {
	w := d.acceptMany(t, "off", 200, .05)
	mend := d.cut(t, d.queueLeader(t))
	accepted, refused, more := d.acceptedWhile(t, "majority", linksCut)
	mend()
	t.Logf("while one node was cut off: %d calls accepted, %d refused", accepted, refused)
	if accepted < refused {
		t.Errorf("a majority of the nodes was there, and %d calls of %d were refused", refused, accepted+refused)
	}
	d.nodesReady(t, 3)
	w.ended(t)
	more.ended(t)
	d.lost(t, 0)
}

// apiServer stops the API server: what the queue is remembered in cannot be read.
func (d *durable) apiServer(t *testing.T) {
	if err := signalAPIServer(d.clusterDir(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	accepted, refused, w := d.acceptedWhile(t, "unwatched", linksCut)
	if err := signalAPIServer(d.clusterDir(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	t.Logf("while the API server was away: %d calls accepted, %d refused", accepted, refused)
	if refused > 0 {
		t.Errorf("%d calls were refused, and every node of the queue was there", refused)
	}
	w.ended(t)
	d.lost(t, 0)
}

// longCall is one of three minutes: after five tenths of it the engine dies, and
// the queue's leader after seven, once the call runs again and its engine has told
// so. Of ten minutes seven tenths are long after that; of three they may be the
// very moment in which the leader hands it out.
func (d *durable) longCall(t *testing.T) {
	const length = 3 * time.Minute
	w := d.acceptMany(t, "long", 1, length.Seconds())
	begun := time.Now()
	d.until(t, "the call runs", time.Minute, func() bool { return w.runs(t)[0] == 1 })
	time.Sleep(time.Until(begun.Add(length * 5 / 10)))
	engine := d.runsOn(t)
	d.restarted(t, engine, func() { d.signal(t, syscall.SIGKILL, d.enginesOf(t, engine)) })
	d.until(t, "the call runs again", time.Minute, func() bool { return w.runs(t)[0] == 2 })
	time.Sleep(max(time.Until(begun.Add(length*7/10)), 2*queue.WorkingEvery))
	node := d.queueLeader(t)
	d.restarted(t, node, func() { d.signal(t, syscall.SIGKILL, d.found(t, queueProcess, named(node))) })
	w.ended(t)
	runs := w.runs(t)[0]
	t.Logf("engine and leader died; the call of %v ran %d times and ended after %.0f s", length, runs, time.Since(begun).Seconds())
	if runs > 2 {
		t.Errorf("the call ran %d times, want two at most", runs)
	}
}
