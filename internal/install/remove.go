package install

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// RemoveOptions are a removal's choices.
type RemoveOptions struct {
	// Confirm is shown what will be deleted, and gives false to leave all.
	Confirm  func(what *RemoveResult) (bool, error)
	DryRun   bool
	Registry bool // delete this launch's images from the registry too
	NoWait   bool // do not wait until the pods are gone
	Timeout  time.Duration
	Patience time.Duration
	Progress *Progress
}

// RemoveResult is what a removal deletes, or deleted.
type RemoveResult struct {
	Namespace string        `json:"namespace"`
	Server    string        `json:"server"`
	Version   int           `json:"installed_version"`
	DryRun    bool          `json:"dry_run,omitempty"`
	Removed   bool          `json:"removed"`
	Objects   []kube.Object `json:"objects"`
	Images    []string      `json:"images,omitempty"` // of the registry
}

// Remove takes the launch off its cluster: every object that it made there and
// that still is its own. The namespace stays, and so does the launch's folder,
// from which it can be deployed again.
func Remove(ctx context.Context, f Folder, o RemoveOptions) (*RemoveResult, error) {
	s, err := open(ctx, f, "remove", o.Progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.patience = o.Patience
	result, err := s.remove(ctx, o)
	if err != nil {
		return nil, s.stopped(ctx, err, "remove")
	}
	return result, nil
}

func (s *session) remove(ctx context.Context, o RemoveOptions) (*RemoveResult, error) {
	cluster, inventory, err := s.installation(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := cluster.Owned(ctx, inventory)
	if err != nil {
		return nil, refusedByCluster(err)
	}
	result := &RemoveResult{Namespace: cluster.Namespace, Server: cluster.Server, Version: inventory.Installed, DryRun: o.DryRun, Objects: objects}
	if o.Registry {
		for _, image := range s.launch.plan.Images() {
			result.Images = append(result.Images, s.images[image.Digest].Destination)
		}
		slices.Sort(result.Images)
	}
	if o.DryRun {
		return result, nil
	}
	if ok, err := o.Confirm(result); err != nil || !ok {
		return result, err
	}
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r := s.rollout(nil, !o.NoWait)
	if err := cluster.Remove(limited, r, objects); err != nil {
		if errors.Is(limited.Err(), context.DeadlineExceeded) {
			return nil, &Error{Code: CodeTimeout, Message: fmt.Sprintf("not gone after %s", o.Timeout), Err: err}
		}
		return nil, refusedByCluster(err)
	}
	result.Removed = true
	if len(result.Images) > 0 {
		s.phase("registry")
	}
	for _, image := range result.Images {
		if err := s.registry.remove(ctx, image); err != nil {
			return nil, err
		}
		s.progress.Line("deleted %s", image)
	}
	s.phase("done")
	return result, nil
}

// remove deletes a manifest; the registry frees its blobs in its own time.
func (r *registry) remove(ctx context.Context, image string) error {
	status, err := r.manifest(ctx, http.MethodDelete, image)
	switch {
	case err != nil:
		return r.whyNot(ctx, err, "delete "+image)
	case status == http.StatusMethodNotAllowed:
		return errorf(CodeFailed, "the satellite is off the cluster, and the registry %s does not allow to delete images: delete %s by its own means", r.host, image)
	}
	return nil
}

// holds asks for a manifest by its digest.
func (r *registry) holds(ctx context.Context, image string) (bool, error) {
	status, err := r.manifest(ctx, http.MethodHead, image)
	if err != nil {
		return false, r.whyNot(ctx, err, "look for "+image)
	}
	return status == http.StatusOK, nil
}

// manifest sends one request about a manifest. That it is not there, or cannot
// be deleted, is an answer and no error.
func (r *registry) manifest(ctx context.Context, method, image string) (status int, err error) {
	if err := r.connect(ctx); err != nil {
		return 0, err
	}
	repository, digest, err := r.split(image)
	if err != nil {
		return 0, err
	}
	response, err := r.send(ctx, exchange{method: method, url: "/v2/" + repository + "/manifests/" + digest, repository: repository,
		header: http.Header{"Accept": manifestTypes}})
	if err != nil {
		return 0, err
	}
	defer drain(response)
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNotFound, http.StatusMethodNotAllowed:
		return response.StatusCode, nil
	}
	return 0, newRefusal(response)
}
