//go:build durability

package e2e

import "testing"

// TestWeights is `make weights`: it measures weights of another size than TestPipe
// has, with a cluster of its own.
func TestWeights(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"push images of Debian packages", (*journey).pushPipes},
		{"deploy", (*journey).deployPipes},
		{"weights are moved once, and read by all", (*journey).weights},
	})
}
