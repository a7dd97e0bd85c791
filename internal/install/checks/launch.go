package checks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
)

// Heartbeats tells of what runs already whether the mothership hears of it.
func Heartbeats(ctx context.Context, c *cluster.Cluster, stage settings.Stage) []preflight.Check {
	h, err := health.LastHeartbeat(ctx, c)
	age, known := h.Age(time.Now())
	last := "none was taken yet"
	if known {
		last = fmt.Sprintf("the last one was taken %s ago", age)
	}
	switch {
	case stage.Heartbeat == "off", err == nil && h == health.Heartbeat{}:
		return nil
	case err != nil:
		return []preflight.Check{{Name: "heartbeat", State: preflight.Unknown, Message: "whether heartbeats arrive is not known: " + err.Error()}}
	case h.Problem != "":
		return []preflight.Check{{Name: "heartbeat", State: preflight.Warning, Message: "the mothership does not take the engines' heartbeats (" + last + "): " + terminal.OneLine(h.Problem)}}
	}
	return []preflight.Check{{Name: "heartbeat", State: preflight.OK, Message: "of the engines' heartbeats " + last}}
}

// NothingChanged is what a preflight that found problems says of the cluster.
const NothingChanged = "nothing was changed"

// Error is one error that lists all problems; nil when there are none.
func Error(checks []preflight.Check) error {
	found := preflight.Problems(checks)
	if len(found) == 0 {
		return nil
	}
	lines := []string{"these have to be put right first; " + NothingChanged}
	if len(found) == 1 {
		lines[0] = "this has to be put right first; " + NothingChanged
	}
	for _, c := range found {
		lines = append(lines, "  ✗ "+c.Name+": "+strings.ReplaceAll(c.Message, "\n", "\n    "))
		if c.Fix != "" {
			lines = append(lines, "    → "+strings.ReplaceAll(strings.TrimRight(c.Fix, "\n"), "\n", "\n      "))
		}
	}
	return fault.Errorf(fault.CodePreflight, "%s", strings.Join(lines, "\n"))
}

// Expiry warns of a satellite past its date: it serves on.
func Expiry(plan *bundle.Plan, now time.Time) []preflight.Check {
	if expires := plan.Satellite.ExpiresAt; !expires.IsZero() && !now.Before(expires) {
		return []preflight.Check{{Name: "expiry", State: preflight.Warning,
			Message: "the satellite expired on " + expires.Format(time.DateOnly) + "; it can be deployed, and its mothership gives no new bundle until an admin renews it"}}
	}
	return nil
}
