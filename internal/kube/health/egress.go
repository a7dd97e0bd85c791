package health

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Egress returns what of the NetworkPolicies of those names the ones of some
// algorithms let them reach, and by which kind of policy.
func Egress(ctx context.Context, c *cluster.Cluster, names, vanityURLs []string) ([]egress.Told, error) {
	var all []egress.Told
	for _, vanityURL := range vanityURLs {
		stem := render.AlgorithmName(vanityURL)
		for _, name := range names {
			if revision, ok := strings.CutPrefix(name, stem); !ok || strings.Count(revision, "-") > 1 || revision != "" && revision[0] != '-' {
				continue
			}
			policy, err := c.Get(ctx, "networking.k8s.io/v1", "NetworkPolicy", name)
			if err != nil {
				return nil, err
			}
			if policy == nil {
				continue
			}
			if told, ok := render.ReadEgress(vanityURL, policy.GetAnnotations()[render.AnnotationEgress]); ok {
				all = append(all, told)
			}
		}
	}
	return all, nil
}
