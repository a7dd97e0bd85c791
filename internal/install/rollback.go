package install

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// RollbackOptions are a rollback's choices.
type RollbackOptions struct {
	Version        int // 0 is the last one that was ready before what was tried last
	DryRun         bool
	Timeout        time.Duration
	ForceConflicts bool
	RetryTimeout   time.Duration
	Progress       *progress.Reporter
}

// RollbackResult is what a rollback did.
type RollbackResult struct {
	From       int                 `json:"from_version"` // that was installed; 0 is none
	To         int                 `json:"to_version"`
	Direction  apply.Direction     `json:"direction"`
	Failed     int                 `json:"failed_version,omitempty"` // whose deploy did not get through, and is cleared
	Downloaded int                 `json:"downloaded_version"`       // that the next deploy brings
	Namespace  string              `json:"namespace"`
	DryRun     bool                `json:"dry_run,omitempty"`
	Changes    []apply.Change      `json:"changes"`
	Kept       []apply.PastVersion `json:"kept"` // versions that can be gone back to
}

// Rollback brings a version back that was ready on the cluster before, from
// what the cluster keeps of it: no download and no mothership. Keys and logins
// stay as they are now.
func Rollback(ctx context.Context, f store.Folder, o RollbackOptions) (*RollbackResult, error) {
	s, err := open(ctx, f, opening{verb: "rollback", report: o.Progress, reads: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.retryTimeout = o.RetryTimeout
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
	past, err := inventory.RollbackTo(o.Version)
	if err != nil {
		return nil, fault.Errorf(fault.CodeUsage, "%s", err.Error())
	}
	result := &RollbackResult{From: inventory.Installed, To: past.Version, Direction: past.Direction, Failed: past.Failed, Downloaded: s.launch.Root.Version,
		Namespace: cluster.Namespace, DryRun: o.DryRun, Kept: inventory.History}
	s.report.Line("%s", result.Describe(past.GoingOn))
	objects, err := apply.LoadVersion(ctx, cluster, s.launch.Plan, inventory, past.Version)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "go back")
	}
	if err := s.pullable(ctx, objects); err != nil {
		return nil, err
	}
	plan := *s.launch.Plan
	plan.Satellite.Version = past.Version
	r := s.newRollout(cluster, objects, true)
	r.ForceConflicts = o.ForceConflicts
	r.Plan, r.Back = &plan, true
	if o.DryRun {
		changes, err := r.Preview(ctx)
		if err != nil {
			return nil, target.Refused(err)
		}
		result.Changes = apply.Touched(changes)
		return result, nil
	}
	changes, err := s.runRollout(ctx, r, o.Timeout)
	result.Changes = apply.Touched(changes)
	if err != nil {
		return nil, err
	}
	s.phase("done")
	return result, nil
}

// installation connects and finds this launch in its namespace.
func (s *session) installation(ctx context.Context) (*cluster.Cluster, *apply.Inventory, error) {
	cluster, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	inventory, err := apply.ReadInventory(ctx, cluster)
	switch {
	case err != nil:
		return nil, nil, target.Refused(err)
	case inventory == nil:
		return cluster, nil, notInstalled{fault.Errorf(fault.CodeFailed, "this launch is not installed in namespace %s", cluster.Namespace)}
	case inventory.LaunchID != s.launch.Folder.LaunchID:
		return nil, nil, fault.Errorf(fault.CodeFailed, "namespace %s holds another launch, %s of satellite %s", cluster.Namespace, inventory.LaunchID, inventory.SatelliteID)
	}
	return cluster, inventory, nil
}

// Describe returns a sentence that says which version the rollback goes to, and from which.
func (r *RollbackResult) Describe(goingOn bool) string {
	var way string
	switch {
	case r.From == 0:
		way = fmt.Sprintf("%s to version %d", r.Direction, r.To)
	case r.Direction == apply.Clearing:
		way = fmt.Sprintf("staying at version %d, which is installed", r.To)
	default:
		way = fmt.Sprintf("%s from version %d to version %d", r.Direction, r.From, r.To)
	}
	if r.Failed > 0 {
		way += fmt.Sprintf("; what the deploy of version %d left, which did not get through, is cleared", r.Failed)
	}
	if goingOn {
		way += ": the rollback to it did not get through, and goes on"
	}
	return way
}

// pullable finds out whether the registry still has what the version runs.
func (s *session) pullable(ctx context.Context, objects []*unstructured.Unstructured) error {
	var gone []string
	for _, image := range render.Images(objects) {
		there, err := s.registry.HasManifest(ctx, image)
		if err != nil {
			return err
		}
		if !there {
			gone = append(gone, image)
		}
	}
	if len(gone) > 0 {
		return fault.Errorf(fault.CodePreflight, "the registry no longer has what that version runs: %s", strings.Join(gone, ", "))
	}
	return nil
}

// notInstalled is the error that the namespace has no installation at all, of which
// installation still returns the cluster.
type notInstalled struct{ error }

// Unwrap returns the error with its exit code.
func (n notInstalled) Unwrap() error { return n.error }
