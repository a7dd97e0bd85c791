package apply

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// concurrency is how many objects are read or written at a time.
const concurrency = 8

// Action is what an apply did to an object, or would do.
type Action string

// The actions.
const (
	Created   Action = "created"
	Changed   Action = "changed"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
	Held      Action = "held" // deleted, and still there
)

// Change is an object and what was done to it.
type Change struct {
	Object Object `json:"object"`
	Action Action `json:"action"`

	// Drift names who changed since what the installer applied, and so makes
	// this a change; for what somebody deleted it is "somebody".
	Drift []string `json:"drift,omitempty"`
	// Finalizers hold an object that was deleted.
	Finalizers []string `json:"finalizers,omitempty"`

	// Live is the object before, nil for none.
	Live *unstructured.Unstructured `json:"-"`

	result *unstructured.Unstructured // as the server would make it
}

// Observer is notified of what is written, and of what the operator should know.
type Observer interface {
	// Report takes a line for the operator.
	Report(format string, args ...any)
	// Changed is called for each object that was written or deleted, by several
	// goroutines at once.
	Changed(change Change)
}

// Applier writes the objects of one launch to a namespace.
type Applier struct {
	Cluster  *cluster.Cluster
	LaunchID string   // whose objects it may delete
	Observer Observer // of whatever it writes

	// ForceConflicts takes fields back that others have set since.
	ForceConflicts bool
	// IgnoreConflicts shows what taking them back would change, where nothing is
	// changed.
	IgnoreConflicts bool
}

// stages is how many stages there are.
const stages = 4

// stage orders kinds: what others need comes first.
func stage(kind string) int {
	switch kind {
	case "RoleBinding": // its Role has to be there
		return 1
	case "Deployment", "StatefulSet":
		return 2
	case "Ingress":
		return 3
	}
	return 0
}

// ApplyChanged applies the objects that Compare found to differ, in stages.
func (a *Applier) ApplyChanged(ctx context.Context, objects []*unstructured.Unstructured, changes []Change) error {
	for n := range stages {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(concurrency)
		for i, object := range objects {
			if stage(object.GetKind()) != n || changes[i].Action == Unchanged {
				continue
			}
			group.Go(func() error {
				err := a.Apply(ctx, object)
				if err == nil {
					a.Observer.Changed(changes[i])
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

// Apply applies one object.
func (a *Applier) Apply(ctx context.Context, object *unstructured.Unstructured) error {
	_, err := a.apply(ctx, object, a.options())
	return err
}

func (a *Applier) options() metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: render.FieldManager, Force: a.ForceConflicts}
}

func (a *Applier) apply(ctx context.Context, object *unstructured.Unstructured, options metav1.ApplyOptions) (*unstructured.Unstructured, error) {
	client, err := a.Cluster.Resource(object.GetAPIVersion(), object.GetKind())
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		wanted, followed, err := a.withCount(ctx, object)
		if err != nil {
			return nil, err
		}
		result, err := client.Apply(ctx, object.GetName(), wanted, options)
		again, force, ok := settleReplicas(wanted, err)
		if ok && followed && try < countTries {
			continue // it was scaled meanwhile
		}
		if ok {
			options := options
			options.Force = options.Force || force
			result, err = client.Apply(ctx, object.GetName(), again, options)
		}
		return applied(object, result, err)
	}
}

// applied names the object of an apply that failed.
func applied(object, result *unstructured.Unstructured, err error) (*unstructured.Unstructured, error) {
	switch {
	case err == nil:
		return result, nil
	case apierrors.IsConflict(err):
		return nil, fmt.Errorf("apply %s: someone else set fields that the installer owns; undo that, or deploy with --force-conflicts to take them back: %w", render.Name(object), err)
	default:
		return nil, fmt.Errorf("apply %s: %w", render.Name(object), err)
	}
}

// EnsureNamespace creates the namespace when it is not there.
func (a *Applier) EnsureNamespace(ctx context.Context) error {
	existing, err := a.Cluster.Get(ctx, "v1", "Namespace", a.Cluster.Namespace)
	if err != nil || existing != nil {
		return err
	}
	return a.Apply(ctx, render.Namespace(a.Cluster.Namespace))
}

// put applies one object unless it is as it should be.
func (a *Applier) put(ctx context.Context, object *unstructured.Unstructured) error {
	change, err := a.compare(ctx, object)
	if err != nil || change.Action == Unchanged {
		return err
	}
	return a.Apply(ctx, object)
}

// Touched returns the changes that are not Unchanged.
func Touched(changes []Change) []Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Action == Unchanged })
}

// CreatedChange is the change of an object that is not there yet.
func CreatedChange(object *unstructured.Unstructured) Change {
	return Change{Object: ObjectOf(object), Action: Created}
}
