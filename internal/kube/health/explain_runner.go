package health

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/runner"
)

// runnerLines is how much of a runner's log is looked through: what its
// process printed is in there too.
const runnerLines = 50

// hasRunner reports whether the pod is one of a pipe image.
func hasRunner(pod *corev1.Pod) bool {
	return len(pod.Spec.Containers) > 0 && len(pod.Spec.Containers[0].Command) > 0 && pod.Spec.Containers[0].Command[0] == render.RunnerPath
}

// explainRunner returns why a runner's process does not stay up. The runner starts
// it again by itself, so that the container's state shows nothing of it.
func explainRunner(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, container string) problem {
	t, lines := problem{reason: "runs, and is not ready yet"}, int64(runnerLines)
	log, err := c.Typed.CoreV1().Pods(c.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container, TailLines: &lines}).DoRaw(ctx)
	if err != nil {
		return t
	}
	for line := range bytes.Lines(log) {
		var said struct {
			Message string `json:"msg"`
			Reason  string `json:"reason"`
			Times   int32  `json:"times"`
		}
		if json.Unmarshal(line, &said) == nil && said.Message == runner.FailedMessage {
			t = problem{cause: "exit", reason: said.Reason}
			if said.Times >= crashes {
				t.permanentAfter = time.Second
			}
		}
	}
	return t
}
