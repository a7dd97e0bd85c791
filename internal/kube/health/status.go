package health

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

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

// Annotations that the engine that reports writes on its Lease.
const (
	annotationHeartbeat = "constellation/last-heartbeat"
	annotationProblem   = "constellation/heartbeat-error"
	annotationWanted    = "constellation/mothership-version"
)

// Heartbeat is what the engines were told by their mothership last.
type Heartbeat struct {
	Accepted string // when a report was taken last, as RFC 3339; "" when that is not known
	Problem  string // why the last one was not, as the engine has it; "" when it was
	Wanted   int    // the satellite version that the mothership has for the launch, 0 unknown
}

// Age returns how long ago a report was taken last.
func (h Heartbeat) Age(now time.Time) (age time.Duration, known bool) {
	at, err := time.Parse(time.RFC3339, h.Accepted)
	return max(0, now.Sub(at)).Truncate(time.Second), err == nil
}

// LastHeartbeat returns what is known of the engines' reports; nothing where the
// account may not read it.
func LastHeartbeat(ctx context.Context, c *cluster.Cluster) (Heartbeat, error) {
	lease, err := c.Typed.CoordinationV1().Leases(c.Namespace).Get(ctx, render.EngineName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return Heartbeat{}, nil
	}
	if err != nil {
		return Heartbeat{}, fmt.Errorf("read Lease/%s: %w", render.EngineName, err)
	}
	wanted, _ := strconv.Atoi(lease.Annotations[annotationWanted]) // of an older engine, or of somebody else: none
	return Heartbeat{Accepted: lease.Annotations[annotationHeartbeat], Problem: lease.Annotations[annotationProblem], Wanted: max(0, wanted)}, nil
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
