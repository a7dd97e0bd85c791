package install_test

import (
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// Whatever a rollback does, it says where it goes and from what.
func TestRollbackSaysItsDirection(t *testing.T) {
	t.Parallel()
	const cleared = "; what the deploy of version 3 left, which did not get through, is cleared"
	for want, test := range map[string]struct {
		result  install.RollbackResult
		goingOn bool
	}{
		"back from version 2 to version 1":                                       {install.RollbackResult{From: 2, To: 1, Direction: apply.Back}, false},
		"back from version 2 to version 1" + cleared:                             {install.RollbackResult{From: 2, To: 1, Direction: apply.Back, Failed: 3}, false},
		"forward from version 1 to version 2":                                    {install.RollbackResult{From: 1, To: 2, Direction: apply.Forward}, false},
		"staying at version 2, which is installed" + cleared:                     {install.RollbackResult{From: 2, To: 2, Direction: apply.Clearing, Failed: 3}, false},
		"back to version 1: the rollback to it did not get through, and goes on": {install.RollbackResult{To: 1, Direction: apply.Back}, true},
	} {
		if got := test.result.Describe(test.goingOn); got != want {
			t.Errorf("Describe of %+v = %q, want %q", test.result, got, want)
		}
	}
}
