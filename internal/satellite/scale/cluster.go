package scale

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apps "k8s.io/client-go/kubernetes/typed/apps/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// podsAsked is how many of a Deployment's pods are asked why they do not start.
const podsAsked = 50

// cluster is one namespace's Deployments.
type cluster struct {
	deployments apps.DeploymentInterface
	pods        core.PodInterface
}

// NewCluster returns the Deployments of a namespace. It needs the rights to get
// deployments, to update deployments/scale and to list pods.
func NewCluster(c *rest.Config, namespace string) (Deployments, error) {
	c = rest.CopyConfig(c)
	c.QPS, c.Burst = 20, 40
	a, err := apps.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("make a client for Deployments: %w", err)
	}
	p, err := core.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("make a client for pods: %w", err)
	}
	return &cluster{deployments: a.Deployments(namespace), pods: p.Pods(namespace)}, nil
}

// Read returns how many replicas a Deployment asks for.
func (c *cluster) Read(ctx context.Context, name string) (Count, error) {
	d, err := c.deployments.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Count{}, fmt.Errorf("read the Deployment %s: %w", name, err)
	}
	count := Count{Name: name, Replicas: 1, version: d.ResourceVersion, SetBy: fieldOwner(d)}
	if d.Spec.Replicas != nil {
		count.Replicas = int(*d.Spec.Replicas)
	}
	if d.Spec.Selector != nil {
		count.selector = metav1.FormatLabelSelector(d.Spec.Selector)
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			count.Refusal = "the cluster refuses pods: " + condition.Message
		}
	}
	return count, nil
}

// fieldOwner returns who set a Deployment's replicas. Whoever changes them takes them
// from the others; the API server notes no time with what goes through scale.
func fieldOwner(d *appsv1.Deployment) string {
	for _, entry := range d.ManagedFields {
		if entry.FieldsV1 != nil && entry.Subresource != "status" && strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas"`) {
			return entry.Manager
		}
	}
	return ""
}

// Set sets the replicas.
func (c *cluster) Set(ctx context.Context, read Count, replicas int) error {
	scale := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: read.Name, ResourceVersion: read.version},
		Spec:       autoscalingv1.ScaleSpec{Replicas: int32(replicas)}, //nolint:gosec // at most 1000
	}
	_, err := c.deployments.UpdateScale(ctx, read.Name, scale, metav1.UpdateOptions{FieldManager: config.ScaleManager})
	if apierrors.IsConflict(err) {
		return ErrChanged
	}
	if err != nil {
		return fmt.Errorf("scale the Deployment %s to %d: %w", read.Name, replicas, err)
	}
	return nil
}

// Explain returns why pods of a Deployment are not ready.
func (c *cluster) Explain(ctx context.Context, read Count) (string, error) {
	if read.selector == "" {
		return "", nil
	}
	pods, err := c.pods.List(ctx, metav1.ListOptions{LabelSelector: read.selector, Limit: podsAsked})
	if err != nil {
		return "", fmt.Errorf("list the pods of %s: %w", read.Name, err)
	}
	for i := range pods.Items {
		if reason := notRunningReason(&pods.Items[i]); reason != "" {
			return reason, nil
		}
	}
	return "", nil
}

// notRunningReason returns why a pod does not run, "" when it does or is about to.
func notRunningReason(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return "no node has room for a replica: " + condition.Message
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, status := range statuses {
			waits := status.State.Waiting
			if waits == nil || waits.Reason == "" || waits.Reason == "ContainerCreating" || waits.Reason == "PodInitializing" {
				continue
			}
			return strings.TrimSuffix("a replica does not start: "+waits.Reason+": "+waits.Message, ": ")
		}
	}
	return ""
}
