package install

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// volumes notes the claims of the queue's volumes: to delete, when that is
// wanted, else to stay. An account that may not list claims cannot have made
// any.
func (s *session) volumes(ctx context.Context, c *cluster.Cluster, wanted bool, result *RemoveResult) error {
	claims, err := apply.Volumes(ctx, c, s.folder().LaunchID)
	switch {
	case apierrors.IsForbidden(err) && !wanted:
		return nil
	case err != nil:
		return target.Refused(err)
	case wanted:
		result.Volumes = claims
	default:
		result.KeptVolumes = claims
	}
	return nil
}

// removeVolumes deletes the claims once nothing uses them.
func (s *session) removeVolumes(ctx context.Context, r rollout.Rollout, result *RemoveResult) error {
	if len(result.Volumes) == 0 {
		return nil
	}
	r.Wait = false
	held, err := r.Remove(ctx, result.Volumes)
	if err != nil {
		return target.Refused(err)
	}
	result.Held = append(result.Held, held...)
	return nil
}
