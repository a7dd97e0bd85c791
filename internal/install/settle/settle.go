package settle

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/secrets"
)

// Input returns what a launch is rendered from, with all that was left open
// decided for a cluster.
func Input(ctx context.Context, c *cluster.Cluster, in render.Input) (render.Input, error) {
	var err error
	if in.Settings.Queue, err = preflight.SettleQueue(ctx, c, in); err != nil {
		return in, target.Refused(err)
	}
	if in.Settings.Weights, err = preflight.SettleWeights(ctx, c, in); err != nil {
		return in, target.Refused(err)
	}
	return in, markSecrets(ctx, c, &in)
}

// markSecrets adds the marks by which pods are replaced when their secrets
// change. What may not be read is for the preflight to tell.
func markSecrets(ctx context.Context, c *cluster.Cluster, in *render.Input) error {
	in.Settings.SecretMarks = map[string]string{}
	var values *secrets.Values
	for _, a := range in.Plan.Algorithms {
		names := in.Settings.Pods[a.VanityURL].Secrets
		if len(names) == 0 {
			continue
		}
		if values == nil {
			read, err := secrets.Read(ctx, c, in.Plan)
			if apierrors.IsForbidden(err) || constellation.KindOf(err) == constellation.KindConflict {
				return nil
			}
			if err != nil {
				return target.Refused(err)
			}
			values = &read
		}
		in.Settings.SecretMarks[a.VanityURL] = values.Mark(a.VanityURL, names)
	}
	return nil
}
