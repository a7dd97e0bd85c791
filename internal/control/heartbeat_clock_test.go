package control

import (
	"testing"
	"time"
)

func TestClockJumped(t *testing.T) {
	for _, test := range []struct {
		name          string
		shown, passed time.Duration
		want          bool
	}{
		{"as time passes", time.Second, time.Second, false},
		{"slewed", 1100 * time.Millisecond, time.Second, false},
		{"a slow write", 40 * time.Second, 40 * time.Second, false},
		{"set forward", time.Hour, time.Second, true},
		{"set back", -time.Hour, time.Second, true},
		{"the machine slept", 8 * time.Hour, 2 * time.Second, true},
	} {
		if got := clockJumped(test.shown, test.passed); got != test.want {
			t.Errorf("%s: clockJumped(%v, %v) = %v, want %v", test.name, test.shown, test.passed, got, test.want)
		}
	}
}
