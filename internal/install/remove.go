package install

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/install/claim"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// RemoveOptions are a removal's choices.
type RemoveOptions struct {
	// Confirm is shown what will be deleted, and gives false to leave all.
	Confirm      func(what *RemoveResult) (bool, error)
	DryRun       bool
	Registry     bool // delete this launch's images from the registry too
	Volumes      bool // delete the queue's volumes too, with all that is on them
	NoWait       bool // do not wait until the pods are gone
	Timeout      time.Duration
	RetryTimeout time.Duration
	Progress     *progress.Reporter
}

// RemoveResult is what a removal deletes, or deleted.
type RemoveResult struct {
	Namespace string         `json:"namespace"`
	Server    string         `json:"server"`
	Version   int            `json:"installed_version"`
	DryRun    bool           `json:"dry_run,omitempty"`
	Removed   bool           `json:"removed"`
	Objects   []apply.Object `json:"objects"`
	Held      []apply.Object `json:"held,omitempty"` // deleted, and still there for a finalizer

	Volumes     []apply.Object `json:"volumes,omitempty"`      // claims of the queue's volumes, to delete
	KeptVolumes []apply.Object `json:"kept_volumes,omitempty"` // which stay, with the calls and results on them

	Images []string     `json:"images,omitempty"` // of the registry, which no other launch uses
	Kept   []claim.Kept `json:"kept,omitempty"`   // of the registry, which others use or may use
	Unsure string       `json:"unsure,omitempty"` // why no image can be deleted with certainty
}

// Remove takes the launch off its cluster: every object that it made there and
// that still is its own. The namespace stays, and so does the launch's folder,
// from which it can be deployed again. The queue's volumes stay unless o.Volumes
// says otherwise: the next deploy goes on with what is on them. With Registry it
// also deletes the images that nobody else has claimed, and does so when the
// cluster has nothing of the launch any more: a removal that was cut off goes
// on; so does one with Volumes.
func Remove(ctx context.Context, f store.Folder, o RemoveOptions) (*RemoveResult, error) {
	s, err := open(ctx, f, opening{verb: "remove", report: o.Progress, reads: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.retryTimeout = o.RetryTimeout
	result, err := s.remove(ctx, o)
	if err != nil {
		return nil, s.stopped(ctx, err, "remove")
	}
	return result, nil
}

func (s *session) remove(ctx context.Context, o RemoveOptions) (*RemoveResult, error) {
	cluster, inventory, err := s.installation(ctx)
	absent := err                          // nil, or that there is nothing on the cluster any more
	if errors.As(err, new(notInstalled)) { // a secret may be there before the first deploy
		inventory, err = &apply.Inventory{LaunchID: s.folder().LaunchID}, nil
	}
	if err != nil {
		return nil, err
	}
	objects, err := apply.Owned(ctx, cluster, inventory)
	if err != nil {
		return nil, target.Refused(err)
	}
	result := &RemoveResult{Namespace: cluster.Namespace, Server: cluster.Server, Version: inventory.Installed, DryRun: o.DryRun, Objects: objects}
	if err := s.volumes(ctx, cluster, o.Volumes, result); err != nil {
		return nil, err
	}
	if absent != nil && !o.Registry && len(result.Volumes)+len(objects) == 0 {
		return nil, absent
	}
	var images *claim.Unclaimed
	if o.Registry {
		if images, err = s.claims().Unclaimed(ctx, absent == nil); err != nil {
			return nil, err
		}
		if absent != nil && images.Unsure != "" {
			return nil, absent
		}
		result.Images, result.Kept, result.Unsure = images.Free, images.Kept, images.Unsure
	}
	if o.DryRun {
		return result, nil
	}
	if ok, err := o.Confirm(result); err != nil || !ok {
		return result, err
	}
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r := s.newRollout(cluster, nil, !o.NoWait)
	if result.Held, err = r.Remove(limited, objects); err != nil {
		if errors.Is(limited.Err(), context.DeadlineExceeded) {
			return nil, &fault.Error{Code: fault.CodeTimeout, Message: fmt.Sprintf("not gone after %s", o.Timeout), Err: err}
		}
		return nil, target.Refused(err)
	}
	if err := s.removeVolumes(limited, r, result); err != nil {
		return nil, err
	}
	result.Removed = true
	places.Drop(s.folder(), cluster.Server, cluster.Namespace)
	if o.Registry && images.Unsure == "" {
		s.phase("registry")
		if err := s.removeImages(ctx, result, absent == nil); err != nil {
			return nil, err
		}
	}
	s.phase("done")
	return result, nil
}

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

// removeImages deletes what was shown and is still nobody else's.
func (s *session) removeImages(ctx context.Context, result *RemoveResult, installed bool) error {
	now, err := s.claims().Delete(ctx, result.Images, installed)
	if err != nil {
		return err
	}
	if now.Unsure != "" {
		result.Images, result.Unsure = nil, now.Unsure
		return nil
	}
	result.Images, result.Kept = now.Free, now.Kept
	return nil
}
