package kube

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
)

// pollInterval is how often wait looks; one list a look.
const pollInterval = time.Second

// NotReadyError says what was not ready when the time was over, and why.
type NotReadyError struct {
	Waiting []Health
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

// Unwrap gives the context's error.
func (e *NotReadyError) Unwrap() error { return e.Cause }

// Health is a Deployment and, when it is not ready, why.
type Health struct {
	Name    string `json:"name"`
	Vanity  string `json:"vanity_url,omitempty"`
	Ready   bool   `json:"ready"`
	Desired int64  `json:"desired"`
	Running int64  `json:"running"` // ready pods
	Reason  string `json:"reason,omitempty"`

	kind    string        // of the reason: what is of one kind is told once
	givesUp time.Duration // as trouble has it
	state   string        // that Running pods are in, "" is ready
}

// outgoing says whether the pods that are ready are those of the version
// before.
func (h Health) outgoing() bool {
	return !h.Ready && h.state == "" && h.Desired > 0 && h.Running >= h.Desired
}

// String is the Health as one line.
func (h Health) String() string {
	line := fmt.Sprintf("%s: %d of %d %s", h.Name, h.Running, h.Desired, cmp.Or(h.state, "ready"))
	if h.outgoing() {
		line = h.Name + ": the new pods are not ready, the old ones serve"
	}
	if h.Reason != "" {
		line += ": " + h.Reason
	}
	return line
}

// BrokenError says what cannot get ready, and why: waiting on has no use.
type BrokenError struct{ Broken []Health }

// Error lists what is broken, a line each.
func (e *BrokenError) Error() string {
	lines := []string{"what follows does not get ready by itself"}
	for _, h := range e.Broken {
		lines = append(lines, "  "+h.String())
	}
	return strings.Join(lines, "\n")
}

// wait looks until every named Deployment is ready, or one is broken.
func (c *Cluster) wait(ctx context.Context, r Rollout, names []string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	tell, last := narrator{report: r.Report}, []Health(nil)
	patience := patience{}
	for {
		health, err := c.Health(ctx, r.Plan.Launch.ID, names)
		switch {
		case err == nil:
			r.looked(health)
			tell.tell(health)
			if last = notReady(health); len(last) == 0 {
				return nil
			}
			if broken := patience.over(last, time.Now()); len(broken) > 0 {
				return &BrokenError{broken}
			}
		case apierrors.IsForbidden(err):
			return err
		case ctx.Err() == nil:
			tell.trouble(err)
		}
		select {
		case <-ctx.Done():
			return &NotReadyError{Waiting: c.explained(ctx, last), Cause: ctx.Err()}
		case <-ticker.C:
		}
	}
}

// explained says more of what only runs and does not get ready.
func (c *Cluster) explained(ctx context.Context, health []Health) []Health {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return health // interrupted: whoever did it does not want to wait
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainFor)
	defer cancel()
	for i, h := range health {
		if more := c.unready(ctx, h.Name); h.kind == "" && more != "" {
			health[i].Reason = more
		}
	}
	return health
}

// explainFor is how long the end of a wait may take to find reasons.
const explainFor = 10 * time.Second

// patience remembers since when each Deployment has trouble that does not end
// by itself. Between two tries of a kubelet the trouble is not seen.
type patience map[string]time.Time

// over gives what has been in such trouble for too long.
func (p patience) over(missing []Health, now time.Time) []Health {
	var broken []Health
	for _, h := range missing {
		key := h.Name + " " + h.kind
		if h.givesUp == 0 {
			continue
		}
		if _, ok := p[key]; !ok {
			p[key] = now
		}
		if now.Sub(p[key]) >= h.givesUp {
			broken = append(broken, h)
		}
	}
	return broken
}

func notReady(health []Health) []Health {
	var list []Health
	for _, h := range health {
		if !h.Ready {
			list = append(list, h)
		}
	}
	return list
}

// Health gives the state of the named Deployments of a launch, in order; with
// no names, of all that the launch has.
func (c *Cluster) Health(ctx context.Context, launchID string, names []string) ([]Health, error) {
	client, err := c.resource("apps/v1", "Deployment")
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: LabelLaunch + "=" + launchID})
	if err != nil {
		return nil, fmt.Errorf("list the satellite's deployments: %w", err)
	}
	byName := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		byName[list.Items[i].GetName()] = &list.Items[i]
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(byName))
	}
	health := make([]Health, len(names))
	for i, name := range names {
		health[i] = Health{Name: name, Reason: "it is gone from the cluster"}
		if d, ok := byName[name]; ok {
			health[i] = c.health(ctx, d)
		}
	}
	return health, nil
}

func (c *Cluster) health(ctx context.Context, d *unstructured.Unstructured) Health {
	d.SetKind("Deployment")
	d.SetAPIVersion("apps/v1")
	desired, _, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
	running, _, _ := unstructured.NestedInt64(d.Object, "status", "readyReplicas")
	h := Health{Name: d.GetName(), Vanity: d.GetAnnotations()[annotationVanityURL], Desired: desired, Running: running}
	result, err := status.Compute(d)
	switch {
	case err != nil:
		h.Reason = err.Error()
	case result.Status == status.CurrentStatus:
		h.Ready = true
	default:
		if observed, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration"); observed >= d.GetGeneration() {
			t := c.explain(ctx, d) // before that its pods are the old ones
			h.kind, h.Reason, h.givesUp = t.kind, t.reason, t.givesUp
		}
		if h.Reason == "" && running >= desired {
			h.Reason = result.Message
		}
	}
	return h
}
