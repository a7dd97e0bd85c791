package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/kube"
)

// DiffResult is what a deploy would change.
type DiffResult struct {
	Namespace string       `json:"namespace"`
	Installed int          `json:"installed_version"` // 0 is none
	Version   int          `json:"satellite_version"`
	Images    []string     `json:"images_to_push"`
	Changes   []ObjectDiff `json:"changes"`
}

// ObjectDiff is an object that would change, and how.
type ObjectDiff struct {
	Object string            `json:"object"`
	Action kube.Action       `json:"action"`
	Fields []kube.Difference `json:"fields,omitempty"`
}

// Pending says whether a deploy has anything to do.
func (r *DiffResult) Pending() bool { return len(r.Changes) > 0 || len(r.Images) > 0 }

// Diff asks registry and cluster what a deploy would change, and changes
// nothing.
func Diff(ctx context.Context, f Folder, progress *Progress) (*DiffResult, error) {
	s, err := open(ctx, f, "diff", progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	result, err := s.diff(ctx)
	return result, interrupted(ctx, err, "the diff")
}

func (s *session) diff(ctx context.Context) (*DiffResult, error) {
	cluster, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	in, err := s.input(cluster.APIs)
	if err != nil {
		return nil, err
	}
	objects, err := kube.Render(in)
	if err != nil {
		return nil, wrap(err, CodeFailed, "render the manifests")
	}
	result := &DiffResult{Namespace: cluster.Namespace, Version: s.launch.root.Version, Images: []string{}, Changes: []ObjectDiff{}}
	for _, image := range s.launch.plan.Images() {
		m := s.images[image.Digest]
		there, err := s.registry.has(ctx, m.Tag, image.Digest)
		if err != nil {
			return nil, err
		}
		if !there {
			result.Images = append(result.Images, m.Destination)
		}
	}
	changes, installed, err := s.preview(ctx, cluster, s.rollout(objects, false))
	if err != nil {
		return nil, err
	}
	result.Installed = installed
	for _, c := range kube.Touched(changes) {
		result.Changes = append(result.Changes, ObjectDiff{c.Object.String(), c.Action, c.Differences()})
	}
	return result, nil
}

// preview gives the changes, also when there is no namespace yet to try in.
func (s *session) preview(ctx context.Context, cluster *kube.Cluster, r kube.Rollout) (changes []kube.Change, installed int, err error) {
	missing, err := cluster.NamespaceMissing(ctx)
	if err != nil {
		return nil, 0, refusedByCluster(err)
	}
	if missing {
		if s.config.Stage.Kubernetes.CreateNamespace {
			changes = append(changes, kube.CreatedChange(kube.RenderNamespace(cluster.Namespace)))
		}
		for _, object := range r.Objects {
			changes = append(changes, kube.CreatedChange(object))
		}
		return changes, 0, nil
	}
	inventory, err := cluster.Inventory(ctx)
	if err != nil {
		return nil, 0, refusedByCluster(err)
	}
	if inventory != nil && inventory.LaunchID != s.launch.folder.LaunchID {
		return nil, 0, errorf(CodePreflight, "namespace %s holds another launch, %s of satellite %s; configure another stage.kubernetes.namespace",
			cluster.Namespace, inventory.LaunchID, inventory.SatelliteID)
	}
	if inventory != nil {
		installed = inventory.Installed
	}
	if changes, err = cluster.Preview(ctx, r); err != nil {
		return nil, 0, refusedByCluster(err)
	}
	return changes, installed, nil
}
