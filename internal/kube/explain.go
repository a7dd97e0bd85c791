package kube

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// logLines is how much of a failing container's log a reason quotes.
const logLines = 5

// trouble is why something is not ready.
type trouble struct {
	kind    string        // stays the same while the words change; "" is what every pod goes through
	reason  string        // for people
	givesUp time.Duration // trouble that lasts this long does not end by itself; 0 may
}

// How long trouble is looked at before a wait ends for it.
const (
	certainFor   = 20 * time.Second // a kubelet tries again after ten
	unreachedFor = 2 * time.Minute  // a registry may be restarted
	crashes      = 3                // of one container; a kubelet waits 40 s after them
)

// explain says why a Deployment is not ready: what its controller complains
// of, else what is wrong with its youngest pod that is not ready.
func (c *Cluster) explain(ctx context.Context, d *unstructured.Unstructured) trouble {
	conditions, _, _ := unstructured.NestedSlice(d.Object, "status", "conditions")
	for _, condition := range conditions {
		m, _ := condition.(map[string]any)
		if m["type"] == "ReplicaFailure" && m["status"] == "True" {
			return trouble{"controller", fmt.Sprint(m["message"]), certainFor}
		}
	}
	selector, _, _ := unstructured.NestedStringMap(d.Object, "spec", "selector", "matchLabels")
	pods, err := c.typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector}),
	})
	if err != nil {
		return trouble{}
	}
	items := pods.Items
	sort.Slice(items, func(i, j int) bool { return items[j].CreationTimestamp.Before(&items[i].CreationTimestamp) })
	for i := range items {
		if pod := &items[i]; pod.DeletionTimestamp == nil && !podReady(pod) {
			if t := c.explainPod(ctx, pod); t.reason != "" {
				t.reason = "pod " + pod.Name + ": " + t.reason
				return t
			}
		}
	}
	return trouble{}
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *Cluster) explainPod(ctx context.Context, pod *corev1.Pod) trouble {
	if pod.Status.Phase == corev1.PodFailed {
		return trouble{kind: "failed", reason: strings.TrimSpace(pod.Status.Reason + " " + pod.Status.Message)}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return trouble{kind: "schedule", reason: "cannot be scheduled: " + condition.Message} // a cluster may grow
		}
	}
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if t := c.explainContainer(ctx, pod, s); t.reason != "" {
			return t
		}
	}
	return trouble{}
}

func (c *Cluster) explainContainer(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus) trouble {
	failed, waiting := s.LastTerminationState.Terminated, s.State.Waiting
	exit := trouble{kind: "exit"}
	if s.RestartCount >= crashes {
		exit.givesUp = time.Second
	}
	switch {
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		exit.reason = c.explainExit(ctx, pod, s.Name, s.State.Terminated, false)
		return exit
	case waiting != nil && waiting.Reason == "CrashLoopBackOff" && failed != nil,
		s.State.Running != nil && !s.Ready && failed != nil:
		exit.reason = c.explainExit(ctx, pod, s.Name, failed, true)
		return exit
	case waiting != nil && waiting.Reason == "ContainerCreating":
		return c.warning(ctx, pod)
	case waiting != nil && pullReasons[waiting.Reason]:
		return c.explainPull(ctx, pod, s.Image, waiting)
	case waiting != nil && waiting.Reason != "PodInitializing":
		return trouble{waiting.Reason, strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": "), certainFor}
	case s.State.Running != nil && !s.Ready && hasRunner(pod):
		return c.explainRunner(ctx, pod, s.Name)
	case s.State.Running != nil && !s.Ready:
		return trouble{reason: "runs, and is not ready yet"}
	}
	return trouble{}
}

func (c *Cluster) explainExit(ctx context.Context, pod *corev1.Pod, container string, exit *corev1.ContainerStateTerminated, previous bool) string {
	reason := fmt.Sprintf("container %s ended with exit code %d", container, exit.ExitCode)
	if exit.Reason != "" && exit.Reason != "Error" {
		reason += " (" + exit.Reason + ")"
	}
	if strings.Contains(exit.Message, "exec format error") {
		reason += ": the image is not built for the node's platform"
	}
	return reason + c.lastWords(ctx, pod.Name, container, previous)
}

// lastWords quotes the end of a container's log.
func (c *Cluster) lastWords(ctx context.Context, pod, container string, previous bool) string {
	lines := int64(logLines)
	log, err := c.typed.CoreV1().Pods(c.Namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines,
	}).DoRaw(ctx)
	if text := strings.TrimSpace(string(log)); err == nil && text != "" {
		return ", last words:\n    " + strings.ReplaceAll(text, "\n", "\n    ")
	}
	return ""
}

// unready says more of pods that run and do not get ready, when a wait is over:
// what their probes say, and the end of their log.
func (c *Cluster) unready(ctx context.Context, name string) string {
	pods, err := c.typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + name})
	if err != nil {
		return ""
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || podReady(pod) {
			continue
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Running == nil || s.Ready {
				continue
			}
			reason := "pod " + pod.Name + ": runs, and is not ready"
			if warned := c.warning(ctx, pod); warned.reason != "" {
				reason += ": " + warned.reason
			}
			return reason + c.lastWords(ctx, pod.Name, s.Name, false)
		}
	}
	return ""
}

// warning gives the youngest warning about a pod: a volume that cannot be
// mounted shows nowhere else.
func (c *Cluster) warning(ctx context.Context, pod *corev1.Pod) trouble {
	// Of an image that cannot be pulled the container's own state says more.
	items := slices.DeleteFunc(c.warnings(ctx, pod), func(e corev1.Event) bool { return e.Reason == "Failed" || e.Reason == "BackOff" })
	if len(items) == 0 {
		return trouble{}
	}
	last := items[len(items)-1]
	if last.Reason == secretUnread {
		return trouble{} // a pull without it says so, should the registry want it
	}
	return trouble{kind: last.Reason, reason: last.Reason + ": " + last.Message}
}

// warnings gives the warnings about a pod, the youngest last; none where events
// may not be read.
func (c *Cluster) warnings(ctx context.Context, pod *corev1.Pod) []corev1.Event {
	events, err := c.typed.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod.Name + ",type=Warning",
	})
	if err != nil {
		return nil
	}
	sort.SliceStable(events.Items, func(i, j int) bool { return events.Items[i].LastTimestamp.Before(&events.Items[j].LastTimestamp) })
	return events.Items
}
