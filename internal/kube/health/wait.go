package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// pollInterval is how often Wait looks; one list a look.
const pollInterval = time.Second

// Observer is notified of how a wait goes on.
type Observer interface {
	// Report takes a line for the operator.
	Report(format string, args ...any)
	// Observed is called with what is seen, at each look.
	Observed(deployments []Deployment)
}

// NotReadyError says what was not ready when the time was over, and why.
type NotReadyError struct {
	Waiting []Deployment
	Cause   error // of the context
}

// Error lists what is not ready, a line each.
func (e *NotReadyError) Error() string {
	lines := []string{fmt.Sprintf("%d of the satellite's deployments", len(e.Waiting))}
	for _, h := range e.Waiting {
		lines = append(lines, "  "+h.String())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the context's error.
func (e *NotReadyError) Unwrap() error { return e.Cause }

// Deployment is a Deployment or StatefulSet and, when it is not ready, why.
type Deployment struct {
	Name    string `json:"name"`
	Vanity  string `json:"vanity_url,omitempty"`
	Ready   bool   `json:"ready"`
	Desired int64  `json:"desired"`
	Running int64  `json:"running"`         // ready pods
	Scale   string `json:"scale,omitempty"` // between which counts Desired follows the load
	Reason  string `json:"reason,omitempty"`

	// Cause is the kind of the reason: what is of one kind is reported once.
	Cause string `json:"-"`
	// State is what Running pods are in, "" for ready.
	State string `json:"-"`

	permanentAfter time.Duration // as problem has it
}

// outgoing reports whether the pods that are ready are those of the version
// before.
func (h Deployment) outgoing() bool {
	return !h.Ready && h.State == "" && h.Desired > 0 && h.Running >= h.Desired
}

// String returns the Deployment as one line.
func (h Deployment) String() string {
	line := fmt.Sprintf("%s: %d of %d %s", h.Name, h.Running, h.Desired, cmp.Or(h.State, "ready"))
	if h.Scale != "" {
		line += " (follows the load, " + h.Scale + ")"
	}
	if h.outgoing() {
		line = h.Name + ": the new pods are not ready, the old ones serve"
	}
	if h.Reason != "" {
		line += ": " + h.Reason
	}
	return line
}

// BrokenError says what cannot get ready, and why: waiting on has no use.
type BrokenError struct{ Broken []Deployment }

// Error lists what is broken, a line each.
func (e *BrokenError) Error() string {
	lines := []string{"what follows does not get ready by itself"}
	for _, h := range e.Broken {
		lines = append(lines, "  "+h.String())
	}
	return strings.Join(lines, "\n")
}

// Wait looks until every named Deployment of a launch is ready, or one is
// broken. It ends with a NotReadyError when the context does.
func Wait(ctx context.Context, c *cluster.Cluster, launchID string, names []string, observer Observer) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	progress, last := NewProgress(observer.Report), []Deployment(nil)
	stalled := stallTimer{}
	for {
		health, err := Deployments(ctx, c, launchID, names)
		switch {
		case err == nil:
			observer.Observed(health)
			progress.Observe(health)
			if last = NotReady(health); len(last) == 0 {
				return nil
			}
			if broken := stalled.expired(last, time.Now()); len(broken) > 0 {
				return &BrokenError{broken}
			}
		case apierrors.IsForbidden(err):
			return err
		case ctx.Err() == nil:
			progress.Unreachable(err)
		}
		select {
		case <-ctx.Done():
			return &NotReadyError{Waiting: explained(ctx, c, last), Cause: ctx.Err()}
		case <-ticker.C:
		}
	}
}

// explained adds to the reasons of what only runs and does not get ready.
func explained(ctx context.Context, c *cluster.Cluster, health []Deployment) []Deployment {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return health // interrupted: whoever did it does not want to wait
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainTimeout)
	defer cancel()
	for i, h := range health {
		if more := explainUnready(ctx, c, h.Name); h.Cause == "" && more != "" {
			health[i].Reason = more
		}
	}
	return health
}

// explainTimeout is how long the end of a wait may take to find reasons.
const explainTimeout = 10 * time.Second

// stallTimer remembers since when each Deployment has a problem that does not
// end by itself. Between two tries of a kubelet the problem is not seen.
type stallTimer map[string]time.Time

// expired returns what has had such a problem for too long.
func (t stallTimer) expired(missing []Deployment, now time.Time) []Deployment {
	var broken []Deployment
	for _, h := range missing {
		key := h.Name + " " + h.Cause
		if h.permanentAfter == 0 {
			continue
		}
		if _, ok := t[key]; !ok {
			t[key] = now
		}
		if now.Sub(t[key]) >= h.permanentAfter {
			broken = append(broken, h)
		}
	}
	return broken
}

// NotReady returns the Deployments that are not ready.
func NotReady(health []Deployment) []Deployment {
	var list []Deployment
	for _, h := range health {
		if !h.Ready {
			list = append(list, h)
		}
	}
	return list
}

// Deployments returns the state of the named Deployments and StatefulSets of a
// launch, in order; with no names, of all that the launch has.
func Deployments(ctx context.Context, c *cluster.Cluster, launchID string, names []string) ([]Deployment, error) {
	byName := map[string]*unstructured.Unstructured{}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		client, err := c.Resource("apps/v1", kind)
		if err != nil {
			return nil, err
		}
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + launchID})
		if kind == "StatefulSet" && apierrors.IsForbidden(err) && !slices.Contains(names, render.QueueName) {
			continue // an account that may not see them has made none
		}
		if err != nil {
			return nil, fmt.Errorf("list the satellite's %ss: %w", strings.ToLower(kind), err)
		}
		for i := range list.Items {
			list.Items[i].SetKind(kind)
			byName[list.Items[i].GetName()] = &list.Items[i]
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(byName))
	}
	health := make([]Deployment, len(names))
	for i, name := range names {
		health[i] = Deployment{Name: name, Reason: "it is gone from the cluster"}
		if d, ok := byName[name]; ok {
			health[i] = deploymentOf(ctx, c, d)
		}
	}
	return health, nil
}

func deploymentOf(ctx context.Context, c *cluster.Cluster, d *unstructured.Unstructured) Deployment {
	d.SetAPIVersion("apps/v1")
	desired, _, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
	running, _, _ := unstructured.NestedInt64(d.Object, "status", "readyReplicas")
	h := Deployment{Name: d.GetName(), Vanity: d.GetAnnotations()[render.AnnotationVanityURL], Desired: desired, Running: running}
	if bounds, ok := render.ScaleOf(d); ok {
		h.Scale = bounds.String()
	}
	result, err := status.Compute(d)
	switch {
	case err != nil:
		h.Reason = err.Error()
	case result.Status == status.CurrentStatus:
		h.Ready = true
	default:
		if observed, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration"); observed >= d.GetGeneration() {
			t := explain(ctx, c, d) // before that its pods are the old ones
			h.Cause, h.Reason, h.permanentAfter = t.cause, t.reason, t.permanentAfter
		}
		if h.Reason == "" && running >= desired {
			h.Reason = result.Message
		}
	}
	return h
}
