package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func (q *queue) mustPush(t *testing.T, key string, limit int) *Waiter {
	t.Helper()
	w := &Waiter{Key: key}
	if _, err := q.push(w, limit); err != nil {
		t.Fatalf("push %s = %v", key, err)
	}
	return w
}

// order pops all and gives their keys.
func (q *queue) order() string {
	var keys []string
	for w := q.pop(); w != nil; w = q.pop() {
		keys = append(keys, w.Key)
	}
	return strings.Join(keys, "")
}

func TestQueueTakesTurnsBetweenKeys(t *testing.T) {
	for _, test := range []struct{ name, arrive, want string }{
		{"one key", "aaaa", "aaaa"},
		{"a flood before one call", "aaaaaab", "abaaaaa"},
		{"two floods", "aaabbb", "ababab"},
		{"three keys", "aaaabbc", "abcabaa"},
	} {
		var q queue
		for _, key := range strings.Split(test.arrive, "") {
			q.mustPush(t, key, 100)
		}
		if got := q.order(); got != test.want {
			t.Errorf("%s: %s is served as %s, want %s", test.name, test.arrive, got, test.want)
		}
	}
}

// TestQueueUnderOverload: a key that always has one call waiting gets its
// share beside one that floods.
func TestQueueUnderOverload(t *testing.T) {
	var q queue
	for range 50 {
		q.mustPush(t, "flood", 100)
	}
	q.mustPush(t, "one", 100)
	served := map[string]int{}
	for range 40 {
		w := q.pop()
		served[w.Key]++
		q.mustPush(t, w.Key, 100)
	}
	if served["one"] < 18 || served["one"] > 22 {
		t.Errorf("served %v, want about half each", served)
	}
}

// TestQueueForgetsInAQuietMoment: once no call waits, what a key had before
// does not count any more, and few keys are kept.
func TestQueueForgetsInAQuietMoment(t *testing.T) {
	var q queue
	for i := range 20 * keysKept {
		q.mustPush(t, "a", 100*keysKept)
		q.mustPush(t, fmt.Sprint(i), 100*keysKept)
	}
	q.order()
	if n := len(q.keys); n > keysKept {
		t.Errorf("%d keys without calls are kept, want %d at most", n, keysKept)
	}
	for range 50 {
		q.mustPush(t, "a", 100)
	}
	q.order()
	for _, key := range []string{"a", "a", "b"} {
		q.mustPush(t, key, 100)
	}
	if got, want := q.order(), "aba"; got != want {
		t.Errorf("after a flood that was served, aab is served as %s, want %s", got, want)
	}
}

func TestFullQueueMakesRoomForAnotherKey(t *testing.T) {
	var q queue
	var flood []*Waiter
	for range 10 {
		flood = append(flood, q.mustPush(t, "flood", 10))
	}
	if _, err := q.push(&Waiter{Key: "flood"}, 10); !errors.Is(err, ErrQueueFull) {
		t.Errorf("the flooding key's next call = %v, want %v", err, ErrQueueFull)
	}
	for i := range 5 {
		evicted, err := q.push(&Waiter{Key: "other"}, 10)
		if err != nil || (i < 4) != (evicted != nil) && i < 4 {
			t.Fatalf("call %d of another key = %v, evicted %v", i, err, evicted)
		}
		if evicted != flood[9-i] {
			t.Errorf("call %d of another key takes the place of %v, want the flood's newest", i, evicted)
		}
	}
	if _, err := q.push(&Waiter{Key: "other"}, 10); !errors.Is(err, ErrQueueFull) {
		t.Errorf("a call beyond the key's half = %v, want %v", err, ErrQueueFull)
	}
	if q.n != 10 {
		t.Errorf("%d calls wait, want 10", q.n)
	}
}

// TestQueueHoldsWhatItIsGiven compares with a plain list, over random work.
func TestQueueHoldsWhatItIsGiven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var in []*Waiter
	for i := range 20000 {
		switch {
		case r.IntN(2) == 0:
			w := &Waiter{Key: fmt.Sprint(r.IntN(4)), Retry: r.IntN(10) == 0}
			evicted, err := q.push(w, 30)
			if err == nil {
				in = append(in, w)
			}
			if evicted != nil {
				in = slices.DeleteFunc(in, func(w *Waiter) bool { return w == evicted })
			}
		case r.IntN(3) == 0 && len(in) > 0:
			at := r.IntN(len(in))
			q.remove(in[at])
			in = slices.Delete(in, at, at+1)
		default:
			w := q.pop()
			at := slices.Index(in, w)
			if (w == nil) != (len(in) == 0) || w != nil && at < 0 {
				t.Fatalf("step %d: pop = %v with %d in the queue", i, w, len(in))
			}
			if w != nil {
				in = slices.Delete(in, at, at+1)
			}
		}
		if q.n != len(in) {
			t.Fatalf("step %d: the queue counts %d, want %d", i, q.n, len(in))
		}
	}
}

func TestNewReplicasStartSlowly(t *testing.T) {
	p := newPool(16, 10)
	p.SetReplicas([]string{"a"})
	for range 16 {
		if r := mustAcquire(t, p); r.addr != "a" {
			t.Fatalf("acquire = %s, want a", r.addr)
		}
	}
	p.SetReplicas([]string{"a", "b"})
	if r := mustAcquire(t, p); r.addr != "b" {
		t.Errorf("acquire = %s, want the new replica", r.addr)
	}
	if s := p.State(); s.Starting != 1 || s.Ready != 2 {
		t.Errorf("pool = %+v, want one of two replicas starting", s)
	}
	if _, err := p.Wait(t.Context(), "k", time.Now(), false); !errors.Is(err, ErrWaitTimeout) {
		t.Errorf("a second call at once on the new replica = %v, want it to wait", err)
	}
	p.mu.Lock()
	b := p.byAddress("b")
	b.since = time.Now().Add(-slowStart / 2)
	slots := p.slots(b)
	p.mu.Unlock()
	if slots < 8 || slots > 9 {
		t.Errorf("after half of the slow start it has %d slots, want about 8", slots)
	}
	// The call that waits is served while the slots grow, with no other event.
	if r, err := p.Wait(t.Context(), "k", soon(), false); err != nil || r.addr != "b" {
		t.Errorf("acquire = %v, %v, want b", r, err)
	}
}
