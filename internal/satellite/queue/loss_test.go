package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// memoryMarker remembers as the cluster does: who saves over a newer one is told.
type memoryMarker struct {
	mu      sync.Mutex
	text    []byte
	version int
	away    bool
}

func (m *memoryMarker) set(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memoryMarker) Load(context.Context) (MarkerState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s MarkerState
	if m.away {
		return s, errors.New("the API server is away")
	}
	if len(m.text) > 0 {
		if err := json.Unmarshal(m.text, &s); err != nil {
			return s, err
		}
	}
	s.Version = strconv.Itoa(m.version)
	return s, nil
}

func (m *memoryMarker) Save(_ context.Context, s MarkerState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away || s.Version != strconv.Itoa(m.version) {
		return ErrConflict
	}
	text, err := json.Marshal(s)
	m.text, m.version = text, m.version+1
	return err
}

func TestAQueueThatComesBackEmptyIsTold(t *testing.T) {
	t.Parallel()
	marker := &memoryMarker{}
	dir := t.TempDir()
	n, err := node.Start(testContext(t), node.Options{Name: "queue-0", Dir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	q := connect(t, Options{Node: n, Marker: marker})
	ctx := testContext(t)
	for i := range 7 {
		publish(t, q, call(fmt.Sprint(i)))
	}
	publish(t, q, Message{Kind: KindCallback, ID: "no-call"})
	if err := take(t, q, KindCall, "foo/bar").Done(ctx); err != nil {
		t.Fatal(err)
	}
	if err := q.observe(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if s, _ := marker.Load(ctx); s.Outstanding != 6 || !s.Made {
		t.Fatalf("remembered: %+v, want 6 outstanding", s)
	}
	q.Close()
	close1(t, n)
	// It comes back with what it had.
	n = startNode(t, node.Options{Dir: dir})
	q = connect(t, Options{Node: n, Marker: marker})
	if s := q.State(ctx); len(s.Losses) != 0 || s.Calls != 6 {
		t.Fatalf("after a restart: %+v", s)
	}
	q.Close()
	close1(t, n)
	// It comes back empty.
	q = connect(t, Options{Node: startNode(t, node.Options{}), Marker: marker})
	s := q.State(ctx)
	if len(s.Losses) != 1 || s.Losses[0].Calls != 6 || s.Losses[0].At.IsZero() {
		t.Fatalf("after it came back empty: %+v, want a loss of 6", s.Losses)
	}
	publish(t, q, call("new"))
	if s := q.State(ctx); len(s.Losses) != 1 || s.Calls != 1 {
		t.Errorf("after that: %+v", s)
	}
}

func TestTheMarkerIsAway(t *testing.T) {
	t.Parallel()
	marker, n := &memoryMarker{}, startNode(t, node.Options{})
	q := connect(t, Options{Node: n, Marker: marker})
	ctx := testContext(t)
	publish(t, q, call("before"))
	if err := q.observe(ctx, 0); err != nil {
		t.Fatal(err)
	}
	marker.set(true)
	if err := q.settle(ctx); err != nil {
		t.Errorf("the same queue is not known again: %v", err)
	}
	publish(t, q, call("meanwhile"))
	if err := q.settle(ctx); err != nil {
		t.Errorf("the same queue is not known again: %v", err)
	}
	// Another one is neither taken for it nor made anew.
	if err := q.js.DeleteStream(ctx, workStream); err != nil {
		t.Fatal(err)
	}
	if err := q.settle(ctx); err == nil {
		t.Error("an empty queue is taken for the one there was")
	}
	if _, err := q.js.Stream(ctx, workStream); err == nil {
		t.Error("a queue is made though nobody can say whether there was one")
	}
	marker.set(false)
	eventually(t, "the loss is told", func() error {
		if l := q.Losses(); len(l) != 1 || l[0].Calls != 2 {
			return fmt.Errorf("losses %v", l)
		}
		return q.Ready()
	})
}

func close1(t testing.TB, n *node.Node) {
	t.Helper()
	if err := n.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func TestAllDisksLostAtOnce(t *testing.T) {
	t.Parallel()
	marker := &memoryMarker{}
	c, q := startCluster(t, Options{Marker: marker})
	publishMany(t, q, 0, 50)
	if err := q.observe(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	// What this process knows beyond what is remembered counts too, and what
	// another one does.
	other := connect(t, Options{Servers: c.servers(), Replicas: 3, Marker: marker, StoreTimeout: 5 * time.Second, AskTimeout: 5 * time.Second})
	if err := other.Observe(testContext(t)); err != nil {
		t.Fatal(err)
	}
	publishMany(t, q, 50, 7)
	publishMany(t, other, 57, 5)
	// One observes, and the other does not learn of it before the loss, or only
	// once it has accepted more.
	if err := q.observe(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	publishMany(t, other, 62, 4)
	if err := other.Observe(testContext(t)); err != nil {
		t.Fatal(err)
	}
	publishMany(t, other, 66, 3)
	for _, n := range c.nodes {
		n.kill()
		n.wipe()
	}
	c.start()
	eventually(t, "the loss is told", func() error {
		if l := q.Losses(); len(l) != 1 {
			return fmt.Errorf("losses %v", l)
		}
		return q.Ready()
	})
	eventually(t, "what both accepted is told as lost", func() error {
		s, err := marker.Load(testContext(t))
		if err != nil || len(s.Losses) != 1 || s.Losses[0].Calls != 69 {
			return fmt.Errorf("losses %v, want one of 69: %w", s.Losses, err)
		}
		return nil
	})
	publishMany(t, q, 100, 3)
}

func TestWithoutAMajorityNothingIsAccepted(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{StoreTimeout: 2 * time.Second, AskTimeout: 5 * time.Second})
	publishMany(t, q, 0, 10)
	c.nodes[0].kill()
	c.nodes[1].kill()
	surely := map[string]bool{}
	for i := range 8 {
		id := fmt.Sprint("call-", 10+i)
		_, err := q.Publish(testContext(t), call(id))
		switch {
		case errors.Is(err, ErrUnavailable):
			surely[id] = true
		case !errors.Is(err, ErrUnknown):
			t.Errorf("without a majority: %v, want ErrUnavailable or ErrUnknown", err)
		}
	}
	// The node that is left answers for itself after a while: it is not believed.
	eventually(t, "a node without a leader is known as one", func() error {
		if _, err := q.find(testContext(t)); !errors.Is(err, errNoLeader) {
			return fmt.Errorf("found with %w", err)
		}
		return nil
	})
	eventually(t, "the queue says why", func() error {
		if err := q.Ready(); !errors.Is(err, ErrUnavailable) {
			return errors.Join(errors.New("it is ready, or for another reason"), err)
		}
		return nil
	})
	c.nodes[0].begin()
	c.nodes[1].begin()
	c.ready()
	eventually(t, "the queue is back", q.Ready)
	found := map[string]int{}
	if err := q.PeekFrom(testContext(t), KindCall, "foo/bar", 1, 100, func(p *Peeked) bool { found[p.ID]++; return true }); err != nil {
		t.Fatal(err)
	}
	for id, n := range found {
		if surely[id] || n > 1 {
			t.Errorf("%s is stored %d times and was told as surely not stored: %v", id, n, surely[id])
		}
	}
	for i := range 10 {
		if found[fmt.Sprint("call-", i)] != 1 {
			t.Errorf("call %d is lost", i)
		}
	}
}

func TestTwoDisksLostAtOnce(t *testing.T) {
	t.Parallel()
	marker := &memoryMarker{}
	c, q := startCluster(t, Options{Marker: marker, StoreTimeout: time.Second, AskTimeout: 5 * time.Second})
	publishMany(t, q, 0, 60)
	c.complete()
	saved := [2]string{}
	for i, n := range c.nodes[:2] {
		n.kill()
		saved[i] = n.opts.Dir
		n.opts.Dir = t.TempDir()
	}
	for _, n := range c.nodes[:2] {
		n.begin()
	}
	for _, n := range c.nodes[:2] {
		eventually(t, "the empty node says what it waits for", func() error {
			err := n.ready()
			if err != nil && strings.Contains(err.Error(), "so is another's") {
				return nil
			}
			return fmt.Errorf("it says: %w", err)
		})
	}
	// The one that is left has no majority, and the empty ones must not make one
	// up. That nothing comes cannot be waited for: a while it is.
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
		if _, err := q.Publish(testContext(t), Message{Kind: KindBatch, ID: "no"}); err == nil {
			t.Fatal("a queue that lost its majority accepts calls")
		}
		if l := q.Losses(); len(l) > 0 {
			t.Fatalf("a loss is told while the calls are on a disk: %v", l)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// The disks come back.
	for i, n := range c.nodes[:2] {
		n.kill()
		n.opts.Dir = saved[i]
	}
	for _, n := range c.nodes[:2] {
		n.begin()
	}
	c.ready()
	eventually(t, "the queue is back", q.Ready)
	holds(t, q, 60)
	if l := q.Losses(); len(l) > 0 {
		t.Errorf("losses %v", l)
	}
}

func TestAQueueThatLacksTheNewestIsTold(t *testing.T) {
	t.Parallel()
	marker := &memoryMarker{}
	n := startNode(t, node.Options{})
	q := connect(t, Options{Node: n, Marker: marker})
	ctx := testContext(t)
	for i := range 5 {
		publish(t, q, call(fmt.Sprint("call-", i)))
	}
	if err := q.observe(ctx, 0); err != nil {
		t.Fatal(err)
	}
	q.Close()
	// A stream of the same incarnation, as nodes with old disks would elect it:
	// it holds two of the five and never had more.
	old, err := marker.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rolled := connect(t, Options{Node: startNode(t, node.Options{Name: "queue-1"}), Marker: &memoryMarker{version: 1, text: []byte(`{"incarnation":"` + old.Incarnation + `"}`)}})
	publish(t, rolled, call("call-0"))
	publish(t, rolled, call("call-1"))
	other := rolled.opts.Node
	rolled.Close()

	q = connect(t, Options{Node: other, Marker: marker, behindFor: time.Second})
	s := q.State(ctx)
	if len(s.Losses) != 1 || s.Losses[0].Calls != 3 || s.Calls != 2 || s.Incarnation == old.Incarnation {
		t.Errorf("state %+v: want a loss of 3, 2 left, and a new incarnation", s)
	}
	holds(t, q, 2)
	publish(t, q, call("call-2"))
	if err := q.settle(ctx); err != nil {
		t.Fatal(err)
	}
	if l := q.Losses(); len(l) != 1 {
		t.Errorf("the loss is told again: %v", l)
	}
}

// An engine that ends after it told a loss, and before what is left has its new
// name, leaves that to the next one: there is no second loss.
func TestALossIsToldOnce(t *testing.T) {
	t.Parallel()
	q := &Queue{opts: Options{Log: testLog(t), Now: time.Now}}
	known := MarkerState{Incarnation: "one", Made: true, Outstanding: 7, LastSeq: 9}
	told := q.resolve(known, found{incarnation: "one", last: 6, stored: 4, behind: true})
	if len(told.Losses) != 1 || told.Losses[0].Calls != 3 || told.Incarnation == "one" || told.Made {
		t.Fatalf("a part is left: %+v", told)
	}
	if next := q.resolve(told, found{incarnation: "one", last: 6, stored: 4}); len(next.Losses) != 1 || next.Incarnation != told.Incarnation {
		t.Errorf("before the part has its new name: %+v, want %+v", next, told)
	}
	told.Made = true
	if next := q.resolve(told, found{incarnation: "one", last: 6}); len(next.Losses) != 2 {
		t.Errorf("a queue that was given up came back in place of a newer one: %+v", next)
	}
}
