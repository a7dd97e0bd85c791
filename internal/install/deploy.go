package install

import (
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube"
)

// DeployOptions are a deploy's choices.
type DeployOptions struct {
	DryRun         bool          // say what would change, and change nothing
	NoWait         bool          // end when everything is applied
	Timeout        time.Duration // of the wait
	Ignored        []string      // names of checks whose problems are warnings
	ForceConflicts bool          // take fields back that others have set
	Patience       time.Duration // with an API server that is away
	Progress       *Progress
}

// DeployResult is what a deploy did, and how to call what it deployed.
type DeployResult struct {
	SatelliteVersion int           `json:"satellite_version"`
	Namespace        string        `json:"namespace"`
	DryRun           bool          `json:"dry_run,omitempty"`
	Ready            bool          `json:"ready"`
	Pending          bool          `json:"pending,omitempty"` // comes up beside the version that serves
	Pushed           int           `json:"images_pushed"`
	Changes          []kube.Change `json:"changes"` // without what is as it was
	Algorithms       []Endpoint    `json:"algorithms"`
	Keys             []string      `json:"keys"`      // names of the keys that may call
	KeysPage         string        `json:"keys_page"` // of the mothership, where keys are made
}

// Endpoint is how to call one algorithm.
type Endpoint struct {
	VanityURL string `json:"vanity_url"`
	Algorithm string `json:"algorithm"`
	Replicas  int    `json:"replicas"`
	URL       string `json:"url"`
	Curl      string `json:"curl"`
}

// Deploy brings a launch onto its cluster: verify, preflight, push, render,
// apply, prune, wait. Every step can be repeated and picks up where it
// stopped; one that fails leaves the version that was there serving.
func Deploy(ctx context.Context, f Folder, o DeployOptions) (*DeployResult, error) {
	o.Progress.Phase("verify")
	s, err := open(ctx, f, "deploy", o.Progress)
	if err != nil {
		return nil, full(err, f.Root)
	}
	defer s.close()
	s.patience = o.Patience
	s.progress.Line("version %d of satellite %s for launch %s", s.launch.root.Version, s.launch.plan.Satellite.Name, s.launch.plan.Launch.Name)
	result, err := s.deploy(ctx, o)
	if err != nil && ctx.Err() == nil {
		return nil, next(f, "deploy", full(err, f.Root))
	}
	if err != nil {
		return nil, s.stopped(ctx, err, "deploy")
	}
	return result, nil
}

// next adds to a failure of a verb what to do after it.
func next(f Folder, verb string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	command := "algo-install satellite " + f.SatelliteID + " " + f.LaunchID
	told := *e
	if told.Next != "" {
		told.Next += "\n"
	}
	switch e.Code {
	case CodePreflight:
		told.Next += "→ then run the " + verb + " again"
	case CodeTimeout:
		told.Next += "→ the cluster keeps trying; to look: " + command + " status\n" +
			"→ when it is mended, run the " + verb + " again: it goes on where it stopped (--timeout gives it longer)"
	case CodeAuth, CodeNetwork, CodeFailed:
		told.Next += "→ when it is mended, run the " + verb + " again: it goes on where it stopped"
	default:
		return err
	}
	return &told
}

func (s *session) deploy(ctx context.Context, o DeployOptions) (*DeployResult, error) {
	s.phase("preflight")
	checks, cluster, in, err := s.preflight(ctx, o.Ignored)
	if err != nil {
		return nil, err
	}
	s.progress.Line("%s is Kubernetes %s; %d checks done", cluster.Server, cluster.Version, len(checks))
	for _, c := range checks {
		if c.State == kube.Warning {
			s.progress.Line("! %s: %s", c.Name, c.Message)
		}
	}
	cluster.ForceConflicts = o.ForceConflicts
	objects, err := kube.Render(in)
	if err != nil {
		return nil, wrap(err, CodeFailed, "render the manifests")
	}
	result := &DeployResult{SatelliteVersion: s.launch.root.Version, Namespace: in.Settings.Namespace, Keys: s.keys(),
		KeysPage: strings.TrimRight(s.launch.plan.Mothership.URL, "/") + "/satellites/" + s.launch.plan.Satellite.ID}
	rollout := s.rollout(objects, !o.NoWait)
	if o.DryRun {
		return result, s.dryRun(ctx, cluster, in, rollout, result)
	}
	s.phase("push")
	pushed, err := s.push(ctx)
	if err != nil {
		return nil, err
	}
	result.Pushed, s.done.pushed = pushed.Pushed, pushed.Pushed
	if err := writeRendered(s.launch.folder, objects); err != nil {
		return nil, err
	}
	if in.Settings.CreateNamespace {
		if err := cluster.EnsureNamespace(ctx); err != nil {
			return nil, refusedByCluster(err)
		}
	}
	changes, err := s.rollOut(ctx, cluster, rollout, o.Timeout)
	result.Changes = kube.Touched(changes)
	if result.Pending = errors.Is(err, kube.ErrPending); err != nil && !result.Pending {
		return nil, err
	}
	s.phase("done")
	result.Ready = !o.NoWait
	if err := s.endpoints(ctx, cluster, in, result); err != nil {
		return nil, err
	}
	return result, s.record(result)
}

// dryRun asks registry and API server what a deploy would do.
func (s *session) dryRun(ctx context.Context, cluster *kube.Cluster, in kube.Input, r kube.Rollout, result *DeployResult) error {
	result.DryRun = true
	for _, image := range s.launch.plan.Images() {
		there, err := s.registry.has(ctx, s.images[image.Digest].Tag, image.Digest)
		if err != nil {
			return err
		}
		if !there {
			result.Pushed++
		}
	}
	missing, err := cluster.NamespaceMissing(ctx)
	if err != nil {
		return refusedByCluster(err)
	}
	if missing { // nothing can be tried in it
		for _, object := range append([]*unstructured.Unstructured{kube.RenderNamespace(in.Settings.Namespace)}, r.Objects...) {
			result.Changes = append(result.Changes, kube.CreatedChange(object))
		}
		return nil
	}
	changes, err := cluster.Preview(ctx, r)
	if err != nil {
		return refusedByCluster(err)
	}
	result.Changes = kube.Touched(changes)
	return s.endpoints(ctx, cluster, in, result)
}
