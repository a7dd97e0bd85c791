package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// IngressAddress gives the host or address at which the ingress controller
// serves the satellite; "" when it has none yet.
func (c *Cluster) IngressAddress(ctx context.Context) (string, error) {
	ingress, err := c.get(ctx, c.APIs.Ingress, "Ingress", EngineName)
	if err != nil || ingress == nil {
		return "", err
	}
	addresses, _, _ := unstructured.NestedSlice(ingress.Object, "status", "loadBalancer", "ingress")
	for _, address := range addresses {
		m, _ := address.(map[string]any)
		for _, key := range []string{"hostname", "ip"} {
			if s, ok := m[key].(string); ok && s != "" {
				return s, nil
			}
		}
	}
	return "", nil
}

// NamespaceMissing says whether the namespace is known not to exist.
func (c *Cluster) NamespaceMissing(ctx context.Context) (bool, error) {
	namespace, err := c.get(ctx, "v1", "Namespace", c.Namespace)
	if apierrors.IsForbidden(err) {
		return false, nil
	}
	return namespace == nil, err
}

// CreatedChange is the change of an object that is not there yet.
func CreatedChange(object *unstructured.Unstructured) Change {
	return Change{Object: objectOf(object), Action: Created}
}

// Wanted gives how many replicas of an algorithm are wanted.
func (in Input) Wanted(a bundle.Algorithm) int { return in.replicas(a) }
