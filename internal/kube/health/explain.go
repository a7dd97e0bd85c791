package health

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

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// logLines is how much of a failing container's log a reason quotes.
const logLines = 5

// problem is why something is not ready.
type problem struct {
	cause          string        // stays the same while the words change; "" is what every pod goes through
	reason         string        // for people
	permanentAfter time.Duration // a problem that lasts this long does not end by itself; 0 may
}

// How long a problem lasts before a wait ends for it.
const (
	certainAfter   = 20 * time.Second // a kubelet tries again after ten
	unreachedAfter = 2 * time.Minute  // a registry may be restarted
	crashes        = 3                // of one container; a kubelet waits 40 s after them
)

// explain returns why a Deployment or StatefulSet is not ready: what its
// controller complains of, else what is wrong with its youngest pod that is not
// ready.
func explain(ctx context.Context, c *cluster.Cluster, d *unstructured.Unstructured) problem {
	conditions, _, _ := unstructured.NestedSlice(d.Object, "status", "conditions")
	for _, condition := range conditions {
		m, _ := condition.(map[string]any)
		if m["type"] == "ReplicaFailure" && m["status"] == "True" {
			return problem{"controller", fmt.Sprint(m["message"]), certainAfter}
		}
	}
	selector, _, _ := unstructured.NestedStringMap(d.Object, "spec", "selector", "matchLabels")
	pods, err := c.Typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector}),
	})
	if err != nil {
		return problem{}
	}
	items := pods.Items
	sort.Slice(items, func(i, j int) bool { return items[j].CreationTimestamp.Before(&items[i].CreationTimestamp) })
	for i := range items {
		if pod := &items[i]; pod.DeletionTimestamp == nil && !podReady(pod) {
			if t := explainPod(ctx, c, pod); t.reason != "" {
				t.reason = "pod " + pod.Name + ": " + t.reason
				return t
			}
		}
	}
	if replicas, _, _ := unstructured.NestedInt64(d.Object, "status", "replicas"); d.GetKind() == "StatefulSet" && replicas < render.Replicas(d) {
		return refusedPods(ctx, c, d)
	}
	return problem{}
}

// refusedPods returns why a StatefulSet makes no pods, which only its events say.
func refusedPods(ctx context.Context, c *cluster.Cluster, set *unstructured.Unstructured) problem {
	events := warnings(ctx, c, set.GetName())
	events = slices.DeleteFunc(events, func(e corev1.Event) bool { return e.InvolvedObject.Kind != "StatefulSet" })
	if len(events) == 0 {
		return problem{}
	}
	return problem{"controller", events[len(events)-1].Message, certainAfter}
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func explainPod(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) problem {
	if pod.Status.Phase == corev1.PodFailed {
		return problem{cause: "failed", reason: strings.TrimSpace(pod.Status.Reason + " " + pod.Status.Message)}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return problem{cause: "schedule", reason: "cannot be scheduled: " + condition.Message} // a cluster may grow
		}
	}
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if t := explainContainer(ctx, c, pod, s); t.reason != "" {
			return t
		}
	}
	return problem{}
}

func explainContainer(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, s corev1.ContainerStatus) problem {
	failed, waiting := s.LastTerminationState.Terminated, s.State.Waiting
	exit := problem{cause: "exit"}
	if s.RestartCount >= crashes {
		exit.permanentAfter = time.Second
	}
	switch {
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		exit.reason = explainExit(ctx, c, pod, s.Name, s.State.Terminated, false)
		return exit
	case waiting != nil && waiting.Reason == "CrashLoopBackOff" && failed != nil,
		s.State.Running != nil && !s.Ready && failed != nil:
		exit.reason = explainExit(ctx, c, pod, s.Name, failed, true)
		return exit
	case waiting != nil && waiting.Reason == "ContainerCreating":
		return warning(ctx, c, pod)
	case waiting != nil && pullReasons[waiting.Reason]:
		return explainPull(ctx, c, pod, s.Image, waiting)
	case waiting != nil && waiting.Reason != "PodInitializing":
		return problem{waiting.Reason, strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": "), certainAfter}
	case s.State.Running != nil && !s.Ready && hasRunner(pod):
		return explainRunner(ctx, c, pod, s.Name)
	case s.State.Running != nil && !s.Ready:
		return problem{reason: "runs, and is not ready yet"}
	}
	return problem{}
}

func explainExit(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, container string, exit *corev1.ContainerStateTerminated, previous bool) string {
	reason := fmt.Sprintf("container %s ended with exit code %d", container, exit.ExitCode)
	if exit.Reason != "" && exit.Reason != "Error" {
		reason += " (" + exit.Reason + ")"
	}
	if strings.Contains(exit.Message, "exec format error") {
		reason += ": the image is not built for the node's platform"
	}
	return reason + lastWords(ctx, c, pod.Name, container, previous)
}

// lastWords quotes the end of a container's log.
func lastWords(ctx context.Context, c *cluster.Cluster, pod, container string, previous bool) string {
	lines := int64(logLines)
	var text []string
	err := c.EachLogLine(ctx, pod, &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines}, func(line string) error {
		text = append(text, line)
		return nil
	})
	if said := strings.TrimSpace(strings.Join(text, "\n")); err == nil && said != "" {
		return ", last words:\n    " + strings.ReplaceAll(said, "\n", "\n    ")
	}
	return ""
}

// explainUnready returns more of pods that run and do not get ready, when a wait is over:
// what their probes say, and the end of their log.
func explainUnready(ctx context.Context, c *cluster.Cluster, name string) string {
	pods, err := c.Typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + name})
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
			if warned := warning(ctx, c, pod); warned.reason != "" {
				reason += ": " + warned.reason
			}
			return reason + lastWords(ctx, c, pod.Name, s.Name, false)
		}
	}
	return ""
}

// warning returns the youngest warning about a pod: a volume that cannot be
// mounted shows nowhere else.
func warning(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) problem {
	// Of an image that cannot be pulled the container's own state says more.
	items := slices.DeleteFunc(warnings(ctx, c, pod.Name), func(e corev1.Event) bool { return e.Reason == "Failed" || e.Reason == "BackOff" })
	if len(items) == 0 {
		return problem{}
	}
	last := items[len(items)-1]
	if last.Reason == secretUnread {
		return problem{} // a pull without it says so, should the registry want it
	}
	return problem{cause: last.Reason, reason: last.Reason + ": " + last.Message}
}

// warnings returns the warnings about an object, the youngest last; none where
// events may not be read.
func warnings(ctx context.Context, c *cluster.Cluster, name string) []corev1.Event {
	events, err := c.Typed.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + name + ",type=Warning",
	})
	if err != nil {
		return nil
	}
	sort.SliceStable(events.Items, func(i, j int) bool { return events.Items[i].LastTimestamp.Before(&events.Items[j].LastTimestamp) })
	return events.Items
}
