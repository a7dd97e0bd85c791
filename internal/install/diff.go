package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settle"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// DiffResult is what a deploy would change.
type DiffResult struct {
	Namespace string        `json:"namespace"`
	Installed int           `json:"installed_version"` // 0 is none
	Version   int           `json:"satellite_version"`
	Images    []string      `json:"images_to_push"`
	Changes   []ObjectDiff  `json:"changes"`
	Egress    []egress.Told `json:"egress,omitempty"`
}

// ObjectDiff is an object that would change, and how.
type ObjectDiff struct {
	Object string             `json:"object"`
	Action apply.Action       `json:"action"`
	Drift  []string           `json:"drift,omitempty"`      // who changed it since it was deployed
	Held   []string           `json:"finalizers,omitempty"` // that hold what was deleted
	Fields []apply.Difference `json:"fields,omitempty"`
}

// Pending reports whether a deploy has anything to do.
func (r *DiffResult) Pending() bool { return len(r.Changes) > 0 || len(r.Images) > 0 }

// Diff asks registry and cluster what a deploy would change, and changes
// nothing.
func Diff(ctx context.Context, f store.Folder, report *progress.Reporter) (*DiffResult, error) {
	s, err := open(ctx, f, opening{verb: "diff", report: report, reads: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.retryTimeout = target.LookRetryTimeout
	result, err := s.diff(ctx)
	return result, fault.Interrupted(ctx, err, "the diff")
}

func (s *session) diff(ctx context.Context) (*DiffResult, error) {
	cluster, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	in, err := settle.Whole(s.inputFor(ctx, cluster))
	if err != nil {
		return nil, err
	}
	objects, err := render.Launch(in)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "render the manifests")
	}
	result := &DiffResult{Namespace: cluster.Namespace, Version: s.launch.Root.Version, Images: []string{}, Changes: []ObjectDiff{}, Egress: in.Egress()}
	for _, image := range s.launch.Plan.Images() {
		m := s.images[image.Digest]
		there, err := s.registry.HasTag(ctx, m.Tag, image.Digest)
		if err != nil {
			return nil, err
		}
		if !there {
			result.Images = append(result.Images, m.Destination)
		}
	}
	r := s.newRollout(cluster, objects, false)
	r.IgnoreConflicts = true
	changes, installed, err := s.preview(ctx, cluster, r)
	if err != nil {
		return nil, err
	}
	result.Installed = installed
	for _, c := range apply.Touched(changes) {
		result.Changes = append(result.Changes, ObjectDiff{c.Object.String(), c.Action, c.Drift, c.Finalizers, c.Differences()})
	}
	return result, nil
}

// preview returns the changes, also when there is no namespace yet to try in.
func (s *session) preview(ctx context.Context, cluster *cluster.Cluster, r rollout.Rollout) (changes []apply.Change, installed int, err error) {
	missing, err := cluster.NamespaceMissing(ctx)
	if err != nil {
		return nil, 0, target.Refused(err)
	}
	if missing {
		if s.config.Stage.Kubernetes.CreateNamespace {
			changes = append(changes, apply.CreatedChange(render.Namespace(cluster.Namespace)))
		}
		for _, object := range r.Objects {
			changes = append(changes, apply.CreatedChange(object))
		}
		return changes, 0, nil
	}
	inventory, err := apply.ReadInventory(ctx, cluster)
	if err != nil {
		return nil, 0, target.Refused(err)
	}
	if inventory != nil && inventory.LaunchID != s.launch.Folder.LaunchID {
		return nil, 0, fault.Errorf(fault.CodePreflight, "namespace %s holds another launch, %s of satellite %s; configure another stage.kubernetes.namespace",
			cluster.Namespace, inventory.LaunchID, inventory.SatelliteID)
	}
	if inventory != nil {
		installed = inventory.Installed
	}
	if changes, err = r.Preview(ctx); err != nil {
		return nil, 0, target.Refused(err)
	}
	return changes, installed, nil
}
