package install

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/kube"
)

// Logs writes the lines of the launch's pods to out until there are no more,
// or with o.Follow until ctx ends.
func Logs(ctx context.Context, f Folder, o kube.LogOptions, out io.Writer) error {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return err
	}
	known := []string{kube.EngineName}
	for _, a := range s.launch.plan.Algorithms {
		known = append(known, a.VanityURL)
	}
	if o.Of == "engine" {
		o.Of = kube.EngineName
	}
	if o.Of != "" && !slices.Contains(known, o.Of) {
		return errorf(CodeUsage, "this launch has nothing called %q; it has %s; did you mean %s", o.Of, strings.Join(known, ", "), Nearest(o.Of, known))
	}
	if err := cluster.Logs(ctx, f.LaunchID, o, out); err != nil && ctx.Err() == nil {
		return refusedByCluster(err)
	}
	return nil
}

// look opens a launch and its cluster only to read: without its lock, so that
// it works while a deploy runs.
func look(ctx context.Context, f Folder) (*session, *kube.Cluster, error) {
	l, err := openLaunch(f)
	if err != nil {
		return nil, nil, err
	}
	c, err := readConfig(f)
	if err != nil {
		return nil, nil, err
	}
	if err := c.complete(f, nil); err != nil {
		return nil, nil, err
	}
	s := &session{launch: l, config: c}
	cluster, err := s.connect(ctx)
	return s, cluster, err
}
