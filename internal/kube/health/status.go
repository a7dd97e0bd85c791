package health

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// RoutedVersion returns the satellite version whose routes the engines have; 0
// when there are none.
func RoutedVersion(ctx context.Context, c *cluster.Cluster) (int, error) {
	object, err := c.Get(ctx, "v1", "ConfigMap", render.EngineName)
	if err != nil || object == nil {
		return 0, err
	}
	text, _, _ := unstructured.NestedString(object.Object, "data", config.RoutesFile)
	var routes config.Routes
	if err := json.Unmarshal([]byte(text), &routes); err != nil {
		return 0, fmt.Errorf("read %s of ConfigMap/%s: %w", config.RoutesFile, render.EngineName, err)
	}
	return routes.Satellite.Version, nil
}

// annotationHeartbeat is written by the engine that reports, on its Lease: when
// the mothership last accepted a report.
const annotationHeartbeat = "constellation/last-heartbeat"

// LastHeartbeat returns when the mothership last accepted a report, as RFC 3339;
// "" when that is not known.
func LastHeartbeat(ctx context.Context, c *cluster.Cluster) (string, error) {
	lease, err := c.Typed.CoordinationV1().Leases(c.Namespace).Get(ctx, render.EngineName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read Lease/%s: %w", render.EngineName, err)
	}
	return lease.Annotations[annotationHeartbeat], nil
}

// IngressAddress returns the host or address at which the ingress controller
// serves the satellite; "" when it has none yet.
func IngressAddress(ctx context.Context, c *cluster.Cluster) (string, error) {
	ingress, err := c.Get(ctx, c.APIs.Ingress, "Ingress", render.EngineName)
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
