package waittest

import (
	"testing"
	"time"
)

// Timeout is how long a test waits in vain: longer than anything takes on a
// loaded machine.
const Timeout = 2 * time.Minute

// Receive returns what comes from c, or the zero value once c is closed. It ends
// the test when nothing comes: what says what was missed. It is called on the
// test's own goroutine.
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Timeout)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// Send hands v to whoever receives from c, and ends the test when nobody does:
// what says who was missed. It is called on the test's own goroutine.
func Send[T any](t testing.TB, what string, c chan<- T, v T) {
	t.Helper()
	timer := time.NewTimer(Timeout)
	defer timer.Stop()
	select {
	case c <- v:
	case <-timer.C:
		t.Fatalf("waited in vain: %s", what)
	}
}

// Hold blocks until something comes from c, c is closed, or the test ends. It is
// for what a test holds up on another goroutine, such as a server's handler.
func Hold[T any](t testing.TB, c <-chan T) {
	select {
	case <-c:
	case <-t.Context().Done():
	}
}

// Until waits until is holds, and ends the test when it never does: what says what
// was missed. It is called on the test's own goroutine.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(Timeout); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
