package settle

import (
	"context"
	"maps"
	"net"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/egress"
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
	Names(ctx, &in)
	return in, markSecrets(ctx, c, &in)
}

// Names looks up the names that algorithms may reach, where policies know
// addresses alone. Those that cannot be opened are for the preflight to tell, or for
// Whole.
func Names(ctx context.Context, in *render.Input) {
	if in.APIs.FQDNPolicy == "" {
		in.Settings.EgressNames = egress.Resolve(ctx, net.DefaultResolver, in.Settings.Egress)
	}
}

// Whole is what Input returned, unless a part of it is not known.
func Whole(in render.Input, err error) (render.Input, error) {
	if err != nil {
		return in, err
	}
	for _, name := range slices.Sorted(maps.Keys(in.Settings.EgressNames)) {
		if problem := in.Settings.EgressNames[name].Problem; problem != "" {
			return in, fault.Errorf(fault.CodeNetwork, "stage.egress: %s", problem)
		}
	}
	return in, nil
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
