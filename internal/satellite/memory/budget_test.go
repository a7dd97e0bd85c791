package memory

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func TestBudgetIsSharedByKeys(t *testing.T) {
	r := NewBudget(120, time.Minute)
	far := time.Now().Add(time.Hour)
	take := func(key string, n int64) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what there is, without waiting
		return r.reserve(ctx, key, n, far)
	}
	for _, test := range []struct {
		key  string
		n    int64
		want error
	}{
		{"a", 60, nil},
		{"a", 1, ErrNoRoom}, // alone, half of it
		{"b", 31, ErrNoRoom},
		{"b", 30, nil},
		{"b", 1, ErrNoRoom},
		{"c", 30, nil}, // the first of a key has all that is free
		{"d", 1, ErrNoRoom},
	} {
		if test.key == "b" && test.n == 31 { // its first may have all; then it is given back
			if err := take("b", 60); err != nil {
				t.Fatalf("a key's first = %v, want all that is free", err)
			}
			r.release("b", 60)
			continue
		}
		if err := take(test.key, test.n); !errors.Is(err, test.want) {
			t.Errorf("%s takes %d = %v, want %v", test.key, test.n, err, test.want)
		}
	}
	if len(r.waiting) != 0 {
		t.Errorf("%d wait who left", len(r.waiting))
	}
}

// TestBudgetIsGrantedInTurn: who waits for others' part is not passed by those who
// come later and want less; who has their own share already delays nobody.
func TestBudgetIsGrantedInTurn(t *testing.T) {
	r := NewBudget(100, time.Minute)
	far := time.Now().Add(time.Hour)
	var order []string
	var mu sync.Mutex
	var wg sync.WaitGroup
	wait := func(key string, n int64) {
		r.mu.Lock()
		before := len(r.waiting)
		r.mu.Unlock()
		wg.Go(func() {
			if err := r.reserve(t.Context(), key, n, far); err != nil {
				t.Errorf("%s waits for %d = %v", key, n, err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, key)
		})
		eventually(t, key+" waits", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.waiting) == before+1 })
	}
	got := func() string { mu.Lock(); defer mu.Unlock(); return strings.Join(order, " ") }
	if !r.tryReserve("full", 50) {
		t.Fatal("an empty budget has nothing free")
	}
	wait("full", 40)
	wait("large", 60)
	wait("small", 10)
	r.release("full", 10)
	eventually(t, "the large one has its part", func() bool { return got() == "large" })
	r.release("full", 40)
	eventually(t, "the key without a share has its part", func() bool { return got() == "large full" })
	r.release("large", 60)
	wg.Wait()
	if got() != "large full small" {
		t.Errorf("order = %s, want large full small", got())
	}
}
