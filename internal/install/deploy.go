package install

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/install/checks"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/manifests"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// DeployOptions are a deploy's choices.
type DeployOptions struct {
	DryRun         bool          // say what would change, and change nothing
	NoWait         bool          // end when everything is applied
	Timeout        time.Duration // of the wait
	Ignored        []string      // names of checks whose problems are warnings
	ForceConflicts bool          // take fields back that others have set
	RetryTimeout   time.Duration // with an API server that is away
	Trust          string        // ID of a mothership's key that its admin confirmed
	Progress       *progress.Reporter
}

// DeployResult is what a deploy did, and how to call what it deployed.
type DeployResult struct {
	SatelliteVersion int              `json:"satellite_version"`
	Namespace        string           `json:"namespace"`
	DryRun           bool             `json:"dry_run,omitempty"`
	Ready            bool             `json:"ready"`
	Pending          bool             `json:"pending,omitempty"` // comes up beside the version that serves
	Pushed           int              `json:"images_pushed"`
	Reach            *reach.Answer    `json:"reach,omitempty"` // by the Ingress, when all is ready
	Changes          []apply.Change   `json:"changes"`         // without what is as it was
	Algorithms       []reach.Endpoint `json:"algorithms"`
	Queue            *health.Queue    `json:"queue,omitempty"`
	Egress           []egress.Told    `json:"egress,omitempty"` // what algorithms may reach, by which policies
	Keys             []string         `json:"keys"`             // names of the keys that may call
	KeysPage         string           `json:"keys_page"`        // of the mothership, where keys are made
}

// Deploy brings a launch onto its cluster: verify, preflight, push, render,
// apply, prune, wait. Every step can be repeated and picks up where it
// stopped; one that fails leaves the version that was there serving.
func Deploy(ctx context.Context, f store.Folder, o DeployOptions) (*DeployResult, error) {
	o.Progress.Phase("verify")
	s, err := open(ctx, f, opening{verb: "deploy", report: o.Progress, trust: o.Trust, reads: o.DryRun})
	if err != nil {
		return nil, store.NoRoomLeft(err, f.Root)
	}
	defer s.close()
	s.retryTimeout = o.RetryTimeout
	s.report.Line("version %d of satellite %s for launch %s", s.launch.Root.Version, s.launch.Plan.Satellite.Name, s.launch.Plan.Launch.Name)
	result, err := s.deploy(ctx, o)
	if err != nil && ctx.Err() == nil {
		return nil, next(f, "deploy", store.NoRoomLeft(err, f.Root))
	}
	if err != nil {
		return nil, s.stopped(ctx, err, "deploy")
	}
	return result, nil
}

// next adds to a failure of a verb what to do after it.
func next(f store.Folder, verb string, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	command := "algo-install satellite " + f.SatelliteID + " " + f.LaunchID
	told := *e
	if told.Next != "" {
		told.Next += "\n"
	}
	switch e.Code {
	case fault.CodePreflight:
		told.Next += "→ then run the " + verb + " again"
	case fault.CodeTimeout:
		told.Next += "→ the cluster keeps trying; to look: " + command + " status\n" +
			"→ when it is mended, run the " + verb + " again: it goes on where it stopped (--timeout gives it longer)"
	case fault.CodeAuth, fault.CodeNetwork, fault.CodeFailed:
		told.Next += "→ when it is mended, run the " + verb + " again: it goes on where it stopped"
	default:
		return err
	}
	return &told
}

// deploy is Deploy in the session of the launch.
func (s *session) deploy(ctx context.Context, o DeployOptions) (*DeployResult, error) {
	s.phase("preflight")
	checks, cluster, in, err := s.preflight(ctx, o.Ignored)
	if cluster != nil && !o.DryRun && ctx.Err() == nil {
		err = s.revoke(ctx, cluster, err)
	}
	if err != nil {
		return nil, err
	}
	s.report.Line("%s is Kubernetes %s; %d checks done", cluster.Server, cluster.Version, len(checks))
	s.reportWarnings(checks)
	objects, err := render.Launch(in)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "render the manifests")
	}
	result := &DeployResult{SatelliteVersion: s.launch.Root.Version, Namespace: in.Settings.Namespace, Keys: s.keys(), Egress: in.Egress(),
		KeysPage: strings.TrimRight(s.launch.Plan.Mothership.URL, "/") + "/satellites/" + s.launch.Plan.Satellite.ID}
	r := s.newRollout(cluster, objects, !o.NoWait)
	r.ForceConflicts = o.ForceConflicts
	if o.DryRun {
		return result, s.dryRun(ctx, cluster, in, r, result)
	}
	s.phase("push")
	pushed, err := s.push(ctx)
	if err != nil {
		return nil, err
	}
	result.Pushed, s.done.Pushed = pushed.Pushed, pushed.Pushed
	if _, err := manifests.WriteRendered(s.launch.Folder, objects); err != nil {
		return nil, err
	}
	if in.Settings.CreateNamespace {
		if err := r.EnsureNamespace(ctx); err != nil {
			return nil, target.Refused(err)
		}
	}
	if err := places.Note(s.folder(), s.config.Stage.Kubernetes, cluster.Server, cluster.Namespace); err != nil {
		return nil, err
	}
	changes, err := s.runRollout(ctx, r, o.Timeout)
	result.Changes = apply.Touched(changes)
	if result.Pending = errors.Is(err, rollout.ErrPending); err != nil && !result.Pending {
		return nil, err
	}
	if result.Ready = !o.NoWait; result.Ready && !result.Pending {
		s.dropSecrets(ctx, cluster, in)
	}
	base, err := s.endpoints(ctx, cluster, in, result)
	if err != nil {
		return nil, err
	}
	if in.Settings.Queue.On {
		if result.Queue, err = health.FindQueue(ctx, cluster); err != nil {
			return nil, target.Refused(err)
		}
	}
	if result.Ready && in.Settings.Ingress.Provider != "none" {
		s.phase("reach")
		result.Reach = s.reach(ctx, cluster, base, result.Changes, o.Timeout)
	}
	s.phase("done")
	if err := s.record(result); err != nil || result.Reach == nil {
		return result, err
	}
	return result, s.reportReach(ctx, cluster, result)
}

// queueTimeout is how long engines have to reach the queue after all is ready.
const queueTimeout = time.Minute

// reach finds out who answers callers, and waits until the engines reach the queue.
func (s *session) reach(ctx context.Context, cluster *cluster.Cluster, base string, changes []apply.Change, timeout time.Duration) *reach.Answer {
	timeout = min(timeout, queueTimeout)
	return reach.AsCallers(ctx, cluster, s.launch.Folder.LaunchID, base, changes, timeout, func() {
		s.report.Line("waiting until every engine reaches the queue (up to %s)", timeout)
	})
}

// reportWarnings reports what the preflight found that stops nothing.
func (s *session) reportWarnings(checks []preflight.Check) {
	for _, c := range checks {
		if c.State == preflight.Warning {
			s.report.Line("! %s: %s", c.Name, c.Message)
		}
	}
}

// revoke takes the keys that were revoked out of the cluster, before anything
// else and whatever the preflight found: a key that must not work any more
// waits for nothing. It returns the preflight's error, with what was changed.
func (s *session) revoke(ctx context.Context, cluster *cluster.Cluster, preflight error) error {
	revoked, err := rollout.Revoke(ctx, cluster, s.launch.Plan)
	switch {
	case err != nil && preflight == nil:
		return target.Refused(err)
	case err != nil:
		s.report.Line("! whether keys that were revoked still work here is not known: %v", err)
	case len(revoked) > 0:
		s.report.Line("keys that were revoked stop working: %s", strings.Join(revoked, ", "))
	}
	var found *fault.Error
	if len(revoked) == 0 || !errors.As(preflight, &found) {
		return preflight
	}
	told := *found
	told.Message = strings.Replace(told.Message, checks.NothingChanged, checks.NothingChanged+" but that revoked keys stop working ("+strings.Join(revoked, ", ")+")", 1)
	return &told
}

// dryRun asks registry and API server what a deploy would do.
func (s *session) dryRun(ctx context.Context, cluster *cluster.Cluster, in render.Input, r rollout.Rollout, result *DeployResult) error {
	result.DryRun = true
	for _, image := range s.launch.Plan.Images() {
		there, err := s.registry.HasTag(ctx, s.images[image.Digest].Tag, image.Digest)
		if err != nil {
			return err
		}
		if !there {
			result.Pushed++
		}
	}
	missing, err := cluster.NamespaceMissing(ctx)
	if err != nil {
		return target.Refused(err)
	}
	if missing { // nothing can be tried in it
		for _, object := range append([]*unstructured.Unstructured{render.Namespace(in.Settings.Namespace)}, r.Objects...) {
			result.Changes = append(result.Changes, apply.CreatedChange(object))
		}
		return nil
	}
	changes, err := r.Preview(ctx)
	if err != nil {
		return target.Refused(err)
	}
	result.Changes = apply.Touched(changes)
	_, err = s.endpoints(ctx, cluster, in, result)
	return err
}

// reportReach reports who answers, and fails when callers would be answered by
// another launch.
func (s *session) reportReach(ctx context.Context, cluster *cluster.Cluster, result *DeployResult) error {
	r := result.Reach
	switch r.Answers {
	case reach.ThisLaunch:
		s.report.Line("this launch answers at %s", r.URL)
		if r.Queue == config.QueueOpening {
			s.reportQueue(ctx, cluster)
		}
	case reach.OtherLaunch:
		return &fault.Error{Code: fault.CodeFailed, Message: fmt.Sprintf("version %d is ready in namespace %s, and callers do not get to it: at %s another launch answers",
			result.SatelliteVersion, result.Namespace, r.URL),
			Next: "→ 'kubectl get ingress -A' shows which Ingress has the same class, host and path; configure another stage.ingress.host or stage.ingress.class"}
	case reach.SomethingElse:
		s.report.Line("! what answers at %s does not prove that it is this launch: %s", r.URL, r.Detail)
	case reach.Nobody:
		s.report.Line("! whether this launch answers at %s is not known, since nobody does as seen from here: %s", r.URL, r.Detail)
	}
	return nil
}

// reportQueue reports that the engines do not reach the queue, and why if the
// account may ask them. What serves callers who wait is not taken back for it.
func (s *session) reportQueue(ctx context.Context, cluster *cluster.Cluster) {
	ctx, cancel := context.WithTimeout(ctx, addressTimeout)
	defer cancel()
	why := ""
	if q, err := queue.Open(ctx, cluster, s.folder().LaunchID, s.launch.Plan.Launch.Token); err == nil {
		if status, err := q.Status(ctx); err == nil && status.Reason != "" {
			why = ": " + status.Reason
		}
		q.Close()
	}
	s.report.Line("! its engines do not reach the queue yet%s\n"+
		"  synchronous calls are answered; asynchronous ones, batches and schedules are refused or wait until they do\n"+
		"→ 'algo-install satellite %s %s queue status' says when it is reached, and what it waits for", why, s.folder().SatelliteID, s.folder().LaunchID)
}

// addressTimeout is how long a new Ingress has to get its address.
const addressTimeout = 10 * time.Second

// endpoints notes how to call each algorithm, and returns where the satellite
// is called.
func (s *session) endpoints(ctx context.Context, cluster *cluster.Cluster, in render.Input, result *DeployResult) (base string, err error) {
	var wait time.Duration
	if result.Ready && slices.ContainsFunc(result.Changes, func(c apply.Change) bool { return c.Action == apply.Created && c.Object.Kind == "Ingress" }) {
		wait = addressTimeout
	}
	host, err := reach.Host(ctx, cluster, in.Settings.Ingress, in.Settings.Namespace, wait)
	if err != nil {
		return "", target.Refused(err)
	}
	base = reach.Base(in.Settings.Ingress, cmp.Or(host, "INGRESS_ADDRESS"))
	result.Algorithms = reach.Endpoints(in, base)
	return base, nil
}

// keys names the keys that this launch came with and that still work.
func (s *session) keys() []string {
	names := []string{}
	for _, k := range s.launch.Plan.Keys {
		if k.ExpiresAt == nil || time.Now().Before(*k.ExpiresAt) {
			names = append(names, k.Name)
		}
	}
	return names
}

// record keeps what the last deploy did in the launch's logs.
func (s *session) record(result *DeployResult) error {
	data, err := json.Marshal(struct {
		At time.Time `json:"at"`
		*DeployResult
	}{time.Now().UTC(), result})
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "note the deploy")
	}
	return s.folder().WriteFile("logs/deploy-"+time.Now().UTC().Format("20060102T150405.000")+".json", append(data, '\n'))
}
