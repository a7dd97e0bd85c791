package install

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/install/waitview"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// phase reports what begins, and remembers it.
func (s *session) phase(name string) {
	if s.waits != nil {
		s.waits.End()
	}
	s.done.Enter(name)
	s.report.Phase(name)
}

// stopped returns after Ctrl-C what was done and how to go on.
func (s *session) stopped(ctx context.Context, err error, verb string) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	text := fmt.Sprintf("the %s was interrupted", verb)
	if s.done.Phase() != "" {
		text += " during '" + s.done.Phase() + "'"
	}
	text += ": " + s.done.String()
	if s.done.Serving > 0 {
		text += fmt.Sprintf("; version %d was serving when it began, and what serves is complete", s.done.Serving)
	}
	return &fault.Error{Code: fault.CodeFailed, Message: text, Next: "→ run the same command again: it goes on where it stopped"}
}

// newRollout returns a rollout of objects which reports to the operator.
func (s *session) newRollout(cluster *cluster.Cluster, objects []*unstructured.Unstructured, wait bool) rollout.Rollout {
	return rollout.Rollout{Cluster: cluster, Plan: s.launch.Plan, Objects: objects, Wait: wait, Observer: rolloutObserver{s}}
}

// rolloutObserver shows the operator how a rollout goes on.
type rolloutObserver struct{ session *session }

// Report shows a line.
func (o rolloutObserver) Report(format string, args ...any) { o.session.report.Line(format, args...) }

// Phase shows what begins.
func (o rolloutObserver) Phase(name string) { o.session.phase(name) }

// Changed shows what was written or deleted, and counts it.
func (o rolloutObserver) Changed(c apply.Change) {
	o.session.done.Change(c)
	o.session.report.Line("%s %s", c.Action, c.Object)
}

// Observed shows what a wait sees.
func (o rolloutObserver) Observed(deployments []health.Deployment) {
	o.session.view().Show(deployments)
}

// view is the session's one view of waits.
func (s *session) view() *waitview.View {
	if s.waits == nil {
		s.waits = waitview.New(s.report)
	}
	return s.waits
}

// runRollout runs a rollout within the time that the operator gives it.
func (s *session) runRollout(ctx context.Context, r rollout.Rollout, timeout time.Duration) ([]apply.Change, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if inventory, err := apply.ReadInventory(ctx, r.Cluster); err == nil && inventory != nil {
		s.done.Serving = inventory.Installed
	}
	changes, err := r.Run(limited)
	s.view().End()
	var late *health.NotReadyError
	var broken *health.BrokenError
	var superseded *rollout.SupersededError
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, rollout.ErrPending):
		return changes, err
	case errors.As(err, &superseded):
		return changes, &fault.Error{Code: fault.CodeFailed, Message: superseded.Error(), Next: "→ when it is done, 'diff' says what is other than this folder has it"}
	case errors.As(err, &broken):
		return changes, fault.Wrap(err, fault.CodeFailed, "the satellite does not come up")
	case errors.As(err, &late), errors.Is(limited.Err(), context.DeadlineExceeded):
		return changes, &fault.Error{Code: fault.CodeTimeout, Message: fmt.Sprintf("not ready after %s", timeout), Err: err}
	}
	return changes, target.Refused(err)
}
