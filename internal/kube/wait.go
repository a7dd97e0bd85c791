package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
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

	kind  string // of the reason: what is of one kind is told once
	state string // that Running pods are in, "" is ready
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

// wait looks until every named Deployment is ready.
func (c *Cluster) wait(ctx context.Context, r Rollout, names []string) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	tell, last := narrator{report: r.Report}, []Health(nil)
	for {
		health, err := c.Health(ctx, r.Plan.Launch.ID, names)
		switch {
		case err == nil:
			tell.tell(health)
			if last = notReady(health); len(last) == 0 {
				return nil
			}
		case ctx.Err() == nil:
			tell.trouble(err)
		}
		select {
		case <-ctx.Done():
			return &NotReadyError{Waiting: last, Cause: ctx.Err()}
		case <-ticker.C:
		}
	}
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
			h.kind, h.Reason = c.explain(ctx, d) // before that its pods are the old ones
		}
		if h.Reason == "" && running >= desired {
			h.Reason = result.Message
		}
	}
	return h
}
