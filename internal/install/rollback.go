package install

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube"
)

// RollbackOptions are a rollback's choices.
type RollbackOptions struct {
	Version        int // 0 is the one before that which is installed
	DryRun         bool
	Timeout        time.Duration
	ForceConflicts bool
	Patience       time.Duration
	Progress       *Progress
}

// RollbackResult is what a rollback did.
type RollbackResult struct {
	From      int           `json:"from_version"`
	To        int           `json:"to_version"`
	Namespace string        `json:"namespace"`
	DryRun    bool          `json:"dry_run,omitempty"`
	Changes   []kube.Change `json:"changes"`
	Kept      []kube.Past   `json:"kept"` // versions that can be gone back to
}

// Rollback brings a version back that was ready on the cluster before, from
// what the cluster keeps of it: no download and no mothership. Keys and logins
// stay as they are now.
func Rollback(ctx context.Context, f Folder, o RollbackOptions) (*RollbackResult, error) {
	s, err := open(ctx, f, "rollback", o.Progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.patience = o.Patience
	result, err := s.rollback(ctx, o)
	if err != nil && ctx.Err() == nil {
		return nil, next(f, "rollback", err)
	}
	if err != nil {
		return nil, s.stopped(ctx, err, "rollback")
	}
	return result, nil
}

func (s *session) rollback(ctx context.Context, o RollbackOptions) (*RollbackResult, error) {
	cluster, inventory, err := s.installation(ctx)
	if err != nil {
		return nil, err
	}
	cluster.ForceConflicts = o.ForceConflicts
	version, err := chooseVersion(inventory, o.Version)
	if err != nil {
		return nil, err
	}
	objects, err := cluster.Past(ctx, s.launch.plan, inventory, version)
	if err != nil {
		return nil, wrap(err, CodeFailed, "go back")
	}
	if err := s.pullable(ctx, objects); err != nil {
		return nil, err
	}
	plan := *s.launch.plan
	plan.Satellite.Version = version
	r := s.rollout(objects, true)
	r.Plan = &plan
	result := &RollbackResult{From: inventory.Installed, To: version, Namespace: cluster.Namespace, DryRun: o.DryRun, Kept: inventory.History}
	if o.DryRun {
		changes, err := cluster.Preview(ctx, r)
		if err != nil {
			return nil, refusedByCluster(err)
		}
		result.Changes = kube.Touched(changes)
		return result, nil
	}
	changes, err := s.rollOut(ctx, cluster, r, o.Timeout)
	result.Changes = kube.Touched(changes)
	if err != nil {
		return nil, err
	}
	s.phase("done")
	return result, nil
}

// installation connects and finds this launch in its namespace.
func (s *session) installation(ctx context.Context) (*kube.Cluster, *kube.Inventory, error) {
	cluster, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	inventory, err := cluster.Inventory(ctx)
	switch {
	case err != nil:
		return nil, nil, refusedByCluster(err)
	case inventory == nil:
		return nil, nil, errorf(CodeFailed, "this launch is not installed in namespace %s", cluster.Namespace)
	case inventory.LaunchID != s.launch.folder.LaunchID:
		return nil, nil, errorf(CodeFailed, "namespace %s holds another launch, %s of satellite %s", cluster.Namespace, inventory.LaunchID, inventory.SatelliteID)
	}
	return cluster, inventory, nil
}

// chooseVersion takes the youngest that was ready before the one installed.
func chooseVersion(inventory *kube.Inventory, wanted int) (int, error) {
	var kept []string
	for _, p := range inventory.History {
		kept = append(kept, strconv.Itoa(p.Version))
	}
	have := strings.Join(kept, ", ")
	if wanted > 0 {
		if !slices.Contains(kept, strconv.Itoa(wanted)) {
			return 0, errorf(CodeUsage, "version %d is not kept on the cluster; it keeps %s", wanted, orNone(have))
		}
		return wanted, nil
	}
	for _, p := range slices.Backward(inventory.History) {
		if p.Version != inventory.Installed {
			return p.Version, nil
		}
	}
	return 0, errorf(CodeUsage, "there is no version to go back to: of those that were ready there the cluster keeps %s, and %d is installed", orNone(have), inventory.Installed)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// pullable finds out whether the registry still has what the version runs.
func (s *session) pullable(ctx context.Context, objects []*unstructured.Unstructured) error {
	var gone []string
	for _, image := range kube.Images(objects) {
		there, err := s.registry.holds(ctx, image)
		if err != nil {
			return err
		}
		if !there {
			gone = append(gone, image)
		}
	}
	if len(gone) > 0 {
		return errorf(CodePreflight, "the registry no longer has what that version runs: %s", strings.Join(gone, ", "))
	}
	return nil
}
