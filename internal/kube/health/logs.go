package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// LogOptions say which lines of a launch's pods are wanted.
type LogOptions struct {
	Of       string // a vanity URL, EngineName, or "" for all
	Tail     int64  // last lines of each container
	Since    time.Duration
	Follow   bool
	Previous bool // of the container before the last restart
	// Request wants only lines that have this text, a call's request ID, of
	// containers before their last restart too.
	Request string
}

// ErrNoLine is the error of logs in which no line has what was asked for.
var ErrNoLine = errors.New("no line has it")

// WriteLogs writes the lines of the launch's pods, each line behind its pod's name.
// Pods that start later are not followed.
func WriteLogs(ctx context.Context, c *cluster.Cluster, launchID string, o LogOptions, out io.Writer) error {
	pods, err := c.Typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + launchID})
	if err != nil {
		return fmt.Errorf("list the satellite's pods: %w", err)
	}
	items := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return !logsOf(&p, o.Of) })
	if len(items) == 0 {
		return fmt.Errorf("no pod of %s runs in namespace %s", strings.TrimSpace(o.Of+" this launch"), c.Namespace)
	}
	slices.SortFunc(items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	w := &lineWriter{out: out, wanted: o.Request}
	group, ctx := errgroup.WithContext(ctx)
	if !o.Follow {
		group.SetLimit(1) // pod after pod
	}
	for _, pod := range items {
		for _, container := range pod.Spec.Containers {
			group.Go(func() error {
				if o.Request != "" && hasRestarted(&pod, container.Name) {
					before := o
					before.Previous, before.Follow = true, false
					if err := writeLog(ctx, c, pod.Name, container.Name, before, w); err != nil {
						return err
					}
				}
				return writeLog(ctx, c, pod.Name, container.Name, o, w)
			})
		}
	}
	if err := group.Wait(); err != nil || o.Request == "" || w.found || o.Follow {
		return err
	}
	return fmt.Errorf("the logs of %d pods: %w", len(items), ErrNoLine)
}

func hasRestarted(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == container && s.RestartCount > 0
	})
}

// logsOf reports whether a pod runs what is asked for.
func logsOf(pod *corev1.Pod, what string) bool {
	return what == "" || pod.Labels["app.kubernetes.io/name"] == what || pod.Annotations[render.AnnotationVanityURL] == what
}

func writeLog(ctx context.Context, c *cluster.Cluster, pod, container string, o LogOptions, w *lineWriter) error {
	options := &corev1.PodLogOptions{Container: container, Follow: o.Follow, Previous: o.Previous}
	if o.Tail >= 0 {
		options.TailLines = &o.Tail
	}
	if seconds := int64(o.Since.Seconds()); seconds > 0 {
		options.SinceSeconds = &seconds
	}
	err := c.EachLogLine(ctx, pod, options, func(line string) error { return w.line(pod, line) })
	var unwritten *writeError
	switch {
	case errors.As(err, &unwritten):
		return unwritten.error
	case err == nil || ctx.Err() != nil:
		return nil
	case errors.Is(err, cluster.ErrUnreachable):
		return err
	}
	return w.line(pod, fmt.Sprintf(noLog+"%v)", err)) // the other pods may have one
}

// noLog begins what stands in the place of a log that cannot be read.
const noLog = "(no log: "

// lineWriter keeps lines of several pods whole.
type lineWriter struct {
	mu     sync.Mutex
	out    io.Writer
	wanted string // what a line has to have, "" for nothing
	found  bool   // a line had it
}

func (w *lineWriter) line(pod, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wanted != "" && !strings.Contains(text, w.wanted) && !strings.HasPrefix(text, noLog) {
		return nil
	}
	w.found = w.found || w.wanted != "" && strings.Contains(text, w.wanted)
	if _, err := fmt.Fprintf(w.out, "%s  %s\n", pod, text); err != nil {
		return &writeError{err}
	}
	return nil
}

// writeError is that of whoever takes the lines, not of the log.
type writeError struct{ error }
