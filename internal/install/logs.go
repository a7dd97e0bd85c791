package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Logs writes the lines of the launch's pods to out until there are no more,
// or with o.Follow until ctx ends.
func Logs(ctx context.Context, f store.Folder, o health.LogOptions, out io.Writer) error {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return err
	}
	known := []string{render.EngineName, render.QueueName}
	for _, a := range s.launch.Plan.Algorithms {
		known = append(known, a.VanityURL)
	}
	if o.Of == "engine" {
		o.Of = render.EngineName
	}
	if o.Of != "" && !slices.Contains(known, o.Of) {
		return fault.Errorf(fault.CodeUsage, "this launch has nothing called %q; it has %s; did you mean %s", o.Of, strings.Join(known, ", "), constellation.Nearest(o.Of, known))
	}
	err = health.WriteLogs(ctx, cluster, f.LaunchID, o, out)
	if errors.Is(err, health.ErrNoLine) {
		return &fault.Error{Code: fault.CodeFailed, Message: fmt.Sprintf("no line has the request ID %s", o.Request), Err: err,
			Next: "→ the ID is the header X-Request-ID of the answer; pods that are gone took their logs along, and a node keeps a log's last megabytes alone"}
	}
	if err != nil && ctx.Err() == nil {
		return target.Refused(err)
	}
	return nil
}

// look opens a launch and its cluster only to read: without its lock, so that
// it works while a deploy runs.
func look(ctx context.Context, f store.Folder) (*session, *cluster.Cluster, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, nil, err
	}
	if _, err := l.VerifySignature("", true, nil); err != nil {
		return nil, nil, err
	}
	c, err := settings.Read(f)
	if err != nil {
		return nil, nil, err
	}
	if err := c.CheckComplete(f, nil); err != nil {
		return nil, nil, err
	}
	s := &session{launch: l, config: c, retryTimeout: target.LookRetryTimeout}
	cluster, err := s.connect(ctx)
	return s, cluster, err
}
