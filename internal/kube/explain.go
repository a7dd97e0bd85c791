package kube

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// logLines is how much of a failing container's log a reason quotes.
const logLines = 5

// explain says why a Deployment is not ready: what its controller complains
// of, else what is wrong with its youngest pod that is not ready. The kind
// stays the same while the words change.
func (c *Cluster) explain(ctx context.Context, d *unstructured.Unstructured) (kind, reason string) {
	conditions, _, _ := unstructured.NestedSlice(d.Object, "status", "conditions")
	for _, condition := range conditions {
		m, _ := condition.(map[string]any)
		if m["type"] == "ReplicaFailure" && m["status"] == "True" {
			return "controller", fmt.Sprint(m["message"])
		}
	}
	selector, _, _ := unstructured.NestedStringMap(d.Object, "spec", "selector", "matchLabels")
	pods, err := c.typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector}),
	})
	if err != nil {
		return "", ""
	}
	items := pods.Items
	sort.Slice(items, func(i, j int) bool { return items[j].CreationTimestamp.Before(&items[i].CreationTimestamp) })
	for i := range items {
		if pod := &items[i]; pod.DeletionTimestamp == nil && !podReady(pod) {
			if kind, reason := c.explainPod(ctx, pod); reason != "" {
				return kind, "pod " + pod.Name + ": " + reason
			}
		}
	}
	return "", ""
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *Cluster) explainPod(ctx context.Context, pod *corev1.Pod) (kind, reason string) {
	if pod.Status.Phase == corev1.PodFailed {
		return "failed", strings.TrimSpace(pod.Status.Reason + " " + pod.Status.Message)
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return "schedule", "cannot be scheduled: " + condition.Message
		}
	}
	statuses := append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...)
	for _, s := range statuses {
		if kind, reason := c.explainContainer(ctx, pod, s); reason != "" {
			return kind, reason
		}
	}
	return "", ""
}

func (c *Cluster) explainContainer(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus) (kind, reason string) {
	failed, waiting := s.LastTerminationState.Terminated, s.State.Waiting
	switch {
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return "exit", c.explainExit(ctx, pod, s.Name, s.State.Terminated, false)
	case waiting != nil && waiting.Reason == "CrashLoopBackOff" && failed != nil:
		return "exit", c.explainExit(ctx, pod, s.Name, failed, true)
	case waiting != nil && waiting.Reason == "ContainerCreating":
		reason = c.warning(ctx, pod)
		kind, _, _ = strings.Cut(reason, ":")
		return kind, reason
	case waiting != nil && pullReasons[waiting.Reason]:
		return "image", c.explainPull(ctx, pod, s.Image, waiting)
	case waiting != nil && waiting.Message != "":
		return waiting.Reason, waiting.Reason + ": " + waiting.Message
	case waiting != nil && waiting.Reason != "PodInitializing":
		return waiting.Reason, waiting.Reason
	case s.State.Running != nil && failed != nil:
		return "exit", c.explainExit(ctx, pod, s.Name, failed, true)
	case s.State.Running != nil && !s.Ready:
		return "", "runs, and is not ready yet" // as every pod does
	}
	return "", ""
}

func (c *Cluster) explainExit(ctx context.Context, pod *corev1.Pod, container string, exit *corev1.ContainerStateTerminated, previous bool) string {
	reason := fmt.Sprintf("container %s ended with exit code %d", container, exit.ExitCode)
	if exit.Reason != "" && exit.Reason != "Error" {
		reason += " (" + exit.Reason + ")"
	}
	lines := int64(logLines)
	log, err := c.typed.CoreV1().Pods(c.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines,
	}).DoRaw(ctx)
	if text := strings.TrimSpace(string(log)); err == nil && text != "" {
		reason += ", last words:\n    " + strings.ReplaceAll(text, "\n", "\n    ")
	}
	return reason
}

// warning gives the youngest warning about a pod: a volume that cannot be
// mounted shows nowhere else.
func (c *Cluster) warning(ctx context.Context, pod *corev1.Pod) string {
	events, err := c.typed.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod.Name + ",type=Warning",
	})
	if err != nil {
		return ""
	}
	// Of an image that cannot be pulled the container's own state says more.
	items := slices.DeleteFunc(events.Items, func(e corev1.Event) bool { return e.Reason == "Failed" || e.Reason == "BackOff" })
	if len(items) == 0 {
		return ""
	}
	sort.Slice(items, func(i, j int) bool { return items[i].LastTimestamp.Before(&items[j].LastTimestamp) })
	last := items[len(items)-1]
	return last.Reason + ": " + last.Message
}
