package install

import (
	"context"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/checks"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Doctor runs the checks that a deploy begins with, and changes nothing. With
// problems the error has CodePreflight, and the checks are given all the same.
func Doctor(ctx context.Context, f store.Folder, ignored []string, report *progress.Reporter) ([]preflight.Check, error) {
	s, err := open(ctx, f, opening{verb: "doctor", report: report, reads: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.retryTimeout = target.LookRetryTimeout
	checks, _, _, err := s.preflight(ctx, ignored)
	return checks, fault.Interrupted(ctx, err, "the check")
}

// preflight checks registry and cluster; it connects to the cluster and
// gathers the rendering's input on the way.
func (s *session) preflight(ctx context.Context, ignored []string) ([]preflight.Check, *cluster.Cluster, render.Input, error) {
	for _, name := range ignored {
		if !slices.Contains(preflight.CheckNames, name) {
			return nil, nil, render.Input{}, fault.Errorf(fault.CodeUsage, "there is no check %q to ignore; did you mean %q", name, constellation.Nearest(name, preflight.CheckNames))
		}
	}
	found := checks.Expiry(s.launch.Plan, time.Now())
	if told := reach.Mothership(ctx, s.config.Stage, s.launch.Plan.Mothership.URL); told != "" {
		found = append(found, preflight.Check{Name: "mothership", State: preflight.Warning, Message: told})
	}
	pushes, err := checks.Pushes(ctx, s.registry, s.images)
	if err != nil {
		return found, nil, render.Input{}, err
	}
	found = append(found, pushes...)
	cluster, err := s.connect(ctx)
	var in render.Input
	if err != nil {
		fix := "check stage.kubernetes.kubeconfig_path and that this machine reaches the cluster"
		if fault.CodeOf(err) == fault.CodeAuth {
			fix = "configure stage.kubernetes.kubeconfig_path=FILE with credentials that are still valid"
		}
		found = append(found, preflight.Check{Name: "cluster", State: preflight.Problem, Message: err.Error(), Fix: fix})
	} else {
		if in, err = s.inputFor(ctx, cluster); err != nil {
			return found, cluster, in, err
		}
		found = append(found, checks.Pulls(ctx, cluster, s.config.Stage, s.registry.Host(), in)...)
		found = append(found, preflight.Run(ctx, cluster, in)...)
		found = append(found, checks.Heartbeats(ctx, cluster, s.config.Stage)...)
		for _, told := range places.Elsewhere(ctx, s.folder(), s.config.Stage, cluster.Server, cluster) {
			found = append(found, preflight.Check{Name: "elsewhere", State: preflight.Warning, Message: told})
		}
	}
	if ctx.Err() != nil {
		return found, cluster, in, ctx.Err()
	}
	found = preflight.Ignore(found, ignored)
	return found, cluster, in, checks.Error(found)
}
