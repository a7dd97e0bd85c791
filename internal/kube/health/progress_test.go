package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressReportsEachKindOfProblemOnce(t *testing.T) {
	t.Parallel()
	var said []string
	p := NewProgress(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	state := func(cause, reason string, running int64) {
		p.Observe([]Deployment{{Name: "a", Desired: 2, Running: running, Ready: running == 2, Cause: cause, Reason: reason}})
	}
	state("", "runs, and is not ready yet", 0)
	for range 5 {
		state("image", "ErrImagePull", 0)
		state("image", "ImagePullBackOff", 0)
	}
	state("exit", "ended with exit code 1", 0)
	state("image", "ErrImagePull", 0)
	state("", "", 1)
	state("", "", 0)
	state("", "", 1)
	state("", "", 2)
	state("", "", 2)
	want := []string{"a: 0 of 2 ready: ErrImagePull", "a: 0 of 2 ready: ended with exit code 1", "a: 1 of 2 ready", "a is ready (2 of 2)"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	p.Observe([]Deployment{{Name: "b", Desired: 1, Running: 1, Cause: "image", Reason: "pod b-1: cannot pull x"}})
	if want := []string{"b: the new pods are not ready, the old ones serve: pod b-1: cannot pull x"}; cmp.Diff(want, said[4:]) != "" {
		t.Errorf("said %q, want %q", said[4:], want)
	}
	said, p.last = nil, time.Now().Add(-reportInterval)
	p.begun = p.last
	state("image", "cannot pull x\n  more", 1)
	state("image", "cannot pull x\n  more", 1)
	if want := []string{"still waiting after 15s for a (1 of 2: cannot pull x)"}; cmp.Diff(want, said) != "" {
		t.Errorf("said %q, want %q", said, want)
	}
}
