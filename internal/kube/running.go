package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// RoutedVersion gives the satellite version whose routes the engines have; 0
// when there are none.
func (c *Cluster) RoutedVersion(ctx context.Context) (int, error) {
	object, err := c.get(ctx, "v1", "ConfigMap", EngineName)
	if err != nil || object == nil {
		return 0, err
	}
	text, _, _ := unstructured.NestedString(object.Object, "data", config.RoutesFile)
	var routes config.Routes
	if err := json.Unmarshal([]byte(text), &routes); err != nil {
		return 0, fmt.Errorf("read %s of ConfigMap/%s: %w", config.RoutesFile, EngineName, err)
	}
	return routes.Satellite.Version, nil
}

// annotationHeartbeat is written by the engine that reports, on its Lease: when
// the mothership last accepted a report.
const annotationHeartbeat = "constellation/last-heartbeat"

// LastHeartbeat gives when the mothership last accepted a report, as RFC 3339;
// "" when that is not known.
func (c *Cluster) LastHeartbeat(ctx context.Context) (string, error) {
	lease, err := c.typed.CoordinationV1().Leases(c.Namespace).Get(ctx, EngineName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read Lease/%s: %w", EngineName, err)
	}
	return lease.Annotations[annotationHeartbeat], nil
}

// Images gives every image that objects run, once.
func Images(objects []*unstructured.Unstructured) []string {
	var images []string
	for _, o := range objects {
		for _, list := range []string{"containers", "initContainers"} {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", list)
			for _, container := range containers {
				if m, ok := container.(map[string]any); ok {
					if image, ok := m["image"].(string); ok && !slices.Contains(images, image) {
						images = append(images, image)
					}
				}
			}
		}
	}
	return images
}
