package launchtest

import (
	"slices"
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Preflight returns the checks of a launch in a cluster's namespace.
func Preflight(t *testing.T, cluster *cluster.Cluster, in render.Input) []preflight.Check {
	t.Helper()
	in.Settings.Namespace, in.APIs = cluster.Namespace, cluster.APIs
	in = Hosted(in)
	return preflight.Run(t.Context(), cluster, in)
}

// ProblemOf returns the message and fix of a named problem, "" when there is none.
func ProblemOf(checks []preflight.Check, name string) string {
	i := slices.IndexFunc(checks, func(c preflight.Check) bool { return c.Name == name && c.State == preflight.Problem })
	if i < 0 {
		return ""
	}
	return checks[i].Message + "\n" + checks[i].Fix
}
