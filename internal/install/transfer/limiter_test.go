package transfer

import "testing"

func TestLimiter(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	fill := func() {
		for l.running < l.limit {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	l.onRate(100)
	if l.limit != firstLimit+1 {
		t.Errorf("limit %d after a first look, want one more than %d", l.limit, firstLimit)
	}
	fill()
	l.onRate(105) // hardly more: not worth another
	if l.limit != firstLimit+1 {
		t.Errorf("limit %d after a gain of 5%%, want %d", l.limit, firstLimit+1)
	}
	l.onRate(200)
	l.onRate(1e9) // one is free now: it is not the limit that holds it back
	if l.limit != firstLimit+2 {
		t.Errorf("limit %d with one free, want %d", l.limit, firstLimit+2)
	}
	for range 5 {
		l.backOff()
	}
	if l.limit != 1 {
		t.Errorf("limit %d after much trouble, want 1", l.limit)
	}
	l.onRate(1e12)
	if l.limit != 1 {
		t.Errorf("limit %d right after trouble, want 1", l.limit)
	}
}
