package install

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/kube"
)

// Doctor runs the checks that a deploy begins with, and changes nothing. With
// problems the error has CodePreflight, and the checks are given all the same.
func Doctor(ctx context.Context, f Folder, ignored []string, progress *Progress) ([]kube.Check, error) {
	s, err := open(ctx, f, "doctor", progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	checks, _, _, err := s.preflight(ctx, ignored)
	return checks, interrupted(ctx, err, "the check")
}

// preflight checks registry and cluster; it connects to the cluster and
// gathers the rendering's input on the way.
func (s *session) preflight(ctx context.Context, ignored []string) ([]kube.Check, *kube.Cluster, kube.Input, error) {
	for _, name := range ignored {
		if !slices.Contains(kube.CheckNames, name) {
			return nil, nil, kube.Input{}, errorf(CodeUsage, "there is no check %q to ignore; did you mean %q", name, Nearest(name, kube.CheckNames))
		}
	}
	checks := s.expiry(time.Now())
	checks = append(checks, s.registry.check(ctx, s.images)...)
	cluster, err := s.connect(ctx)
	var in kube.Input
	if err != nil {
		fix := "check stage.kubernetes.kubeconfig_path and that this machine reaches the cluster"
		if codeOf(err) == CodeAuth {
			fix = "configure stage.kubernetes.kubeconfig_path=FILE with credentials that are still valid"
		}
		checks = append(checks, kube.Check{Name: "cluster", State: kube.Problem, Message: err.Error(), Fix: fix})
	} else {
		if in, err = s.input(cluster.APIs); err != nil {
			return checks, cluster, in, err
		}
		checks = append(checks, s.pullChecks(in)...)
		checks = append(checks, cluster.Preflight(ctx, in)...)
	}
	if ctx.Err() != nil {
		return checks, cluster, in, ctx.Err()
	}
	checks = kube.Ignore(checks, ignored)
	return checks, cluster, in, problems(checks)
}

// problems is one error that lists all of them.
func problems(checks []kube.Check) error {
	found := kube.Problems(checks)
	if len(found) == 0 {
		return nil
	}
	lines := []string{"these have to be put right first; nothing was changed"}
	if len(found) == 1 {
		lines[0] = "this has to be put right first; nothing was changed"
	}
	for _, c := range found {
		lines = append(lines, "  ✗ "+c.Name+": "+strings.ReplaceAll(c.Message, "\n", "\n    "))
		if c.Fix != "" {
			lines = append(lines, "    → "+strings.ReplaceAll(strings.TrimRight(c.Fix, "\n"), "\n", "\n      "))
		}
	}
	return errorf(CodePreflight, "%s", strings.Join(lines, "\n"))
}

// expiry warns of a satellite past its date: it serves on.
func (s *session) expiry(now time.Time) []kube.Check {
	if expires := s.launch.plan.Satellite.ExpiresAt; !expires.IsZero() && !now.Before(expires) {
		return []kube.Check{{Name: "expiry", State: kube.Warning,
			Message: "the satellite expired on " + expires.Format(time.DateOnly) + "; it can be deployed, and its mothership gives no new bundle until an admin renews it"}}
	}
	return nil
}

// pullChecks says when pods will pull without a login.
func (s *session) pullChecks(in kube.Input) []kube.Check {
	if s.config.Stage.Registry.PullSecret == "create" && in.Settings.PullConfig == nil {
		return []kube.Check{{Name: "pull secret", State: kube.Warning,
			Message: "there is no docker login for " + s.registry.host.RegistryStr() + ", so pods will pull without one",
			Fix:     "run 'docker login', or configure stage.registry.pull_secret=existing:NAME"}}
	}
	return nil
}
