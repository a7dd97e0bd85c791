package kube

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// applyWidth is how many objects are looked at or written at a time.
const applyWidth = 8

// Action is what an apply did to an object, or would do.
type Action string

// The actions.
const (
	Created   Action = "created"
	Changed   Action = "changed"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
)

// Change is an object and what was done to it.
type Change struct {
	Object Object `json:"object"`
	Action Action `json:"action"`

	live, result *unstructured.Unstructured // before, nil for none; and as the server would make it
}

// stages is how many stages there are.
const stages = 4

// stage orders kinds: what others need comes first.
func stage(kind string) int {
	switch kind {
	case "RoleBinding": // its Role has to be there
		return 1
	case "Deployment":
		return 2
	case "Ingress":
		return 3
	}
	return 0
}

// write applies the objects that Compare found to differ, in stages.
func (c *Cluster) write(ctx context.Context, r Rollout, objects []*unstructured.Unstructured, changes []Change) error {
	for n := range stages {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(applyWidth)
		for i, object := range objects {
			if stage(object.GetKind()) != n || changes[i].Action == Unchanged {
				continue
			}
			group.Go(func() error {
				_, err := c.apply(ctx, object, c.options())
				if err == nil {
					r.changed(changes[i])
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) options() metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: FieldManager, Force: c.ForceConflicts}
}

func (c *Cluster) apply(ctx context.Context, object *unstructured.Unstructured, options metav1.ApplyOptions) (*unstructured.Unstructured, error) {
	client, err := c.resource(object.GetAPIVersion(), object.GetKind())
	if err != nil {
		return nil, err
	}
	result, err := client.Apply(ctx, object.GetName(), object, options)
	switch {
	case err == nil:
		return result, nil
	case apierrors.IsConflict(err):
		return nil, fmt.Errorf("apply %s: someone else set fields that the installer owns; undo that, or deploy with --force-conflicts to take them back: %w", Name(object), err)
	default:
		return nil, fmt.Errorf("apply %s: %w", Name(object), err)
	}
}

// EnsureNamespace makes the namespace when it is not there.
func (c *Cluster) EnsureNamespace(ctx context.Context) error {
	existing, err := c.get(ctx, "v1", "Namespace", c.Namespace)
	if err != nil || existing != nil {
		return err
	}
	_, err = c.apply(ctx, RenderNamespace(c.Namespace), c.options())
	return err
}

// Touched gives the changes that are not Unchanged.
func Touched(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Action == Unchanged })
}
