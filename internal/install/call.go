package install

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/call"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Call calls an algorithm of a launch, at o.URL or else by its Ingress, and writes
// what it answers.
func Call(ctx context.Context, f store.Folder, o call.Options) error {
	if err := f.Exists(); err != nil {
		return err
	}
	if strings.TrimSuffix(o.URL, "/") == "" {
		var err error
		if o.URL, err = calledAt(ctx, f); err != nil {
			return err
		}
	}
	return fault.Interrupted(ctx, call.Run(ctx, f, o), "call")
}

// calledAt returns where a launch is called, as a deploy prints it.
func calledAt(ctx context.Context, f store.Folder) (string, error) {
	s, cluster, err := look(ctx, f)
	if err != nil {
		return "", err
	}
	ingress := render.Ingress(s.config.Stage.Ingress)
	host, err := reach.Host(ctx, cluster, ingress, s.config.Stage.Kubernetes.Namespace, 0)
	if err != nil {
		return "", target.Refused(err)
	}
	if host == "" {
		return "", fault.Errorf(fault.CodeFailed, "the launch's Ingress has no address yet: give the satellite's with --url")
	}
	return reach.Base(ingress, host), nil
}
