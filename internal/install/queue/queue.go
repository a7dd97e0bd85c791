package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// The names of the ports with the operator's routes: the engines' and the nodes'.
const (
	metricsPortName = "metrics"
	healthPortName  = "health"
)

// Client asks one engine of a launch for its queue.
type Client struct {
	*operate.Client
	forward   *cluster.Forward
	transport *http.Transport
}

// Open reaches a launch's queue, by whichever of its engines answers. Close ends it.
func Open(ctx context.Context, c *cluster.Cluster, launchID, token string) (*Client, error) {
	pods, err := podsOf(ctx, c, launchID, render.EngineName)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, &fault.Error{Code: fault.CodeFailed, Message: fmt.Sprintf("no engine of this launch runs in namespace %s", c.Namespace),
			Next: "→ 'status' says what runs, and 'deploy' brings the launch onto its cluster"}
	}
	for _, pod := range pods {
		q, tried := openBy(ctx, c, &pod, metricsPortName, token)
		if tried == nil {
			return q, nil
		}
		err = tried
		if ctx.Err() != nil || errors.Is(err, cluster.ErrNoForward) {
			break
		}
	}
	return nil, noWay(err)
}

// noWay explains why no engine is reached.
func noWay(err error) error {
	if errors.Is(err, cluster.ErrNoForward) {
		return &fault.Error{Code: fault.CodePreflight, Message: "the queue is operated through an engine's pod", Err: err,
			Next: "→ have an admin of the cluster add this to the account's Role:\n- apiGroups: [\"\"]\n  resources: [pods/portforward]\n  verbs: [get, create]"}
	}
	return fault.Wrap(err, fault.CodeNetwork, "no engine is reached through the API server")
}

func openBy(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, portName, token string) (*Client, error) {
	port, ok := portOf(pod, portName)
	if !ok {
		return nil, fmt.Errorf("pod %s has no port %s", pod.Name, portName)
	}
	forward, err := c.ForwardTo(ctx, pod.Name)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return forward.Dial(ctx, port) },
		DisableCompression: true,
		// A connection by this way has no deadlines, and may end unseen.
		ResponseHeaderTimeout: 5 * time.Minute,
	}
	client := operate.NewClient(token, "http://"+pod.Name, transport)
	return &Client{Client: client, forward: forward, transport: transport}, nil
}

// Close ends what Open began.
func (q *Client) Close() {
	q.transport.CloseIdleConnections()
	_ = q.forward.Close()
}

// podsOf returns a part's pods that run, those that are ready first.
func podsOf(ctx context.Context, c *cluster.Cluster, launchID, name string) ([]corev1.Pod, error) {
	list, err := c.Typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: render.LabelLaunch + "=" + launchID + ",app.kubernetes.io/name=" + name,
	})
	if err != nil {
		return nil, target.Refused(fmt.Errorf("list the pods of %s: %w", name, err))
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		return p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(notReady(&a), notReady(&b)), cmp.Compare(a.Name, b.Name))
	})
	return pods, nil
}

func notReady(pod *corev1.Pod) int {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return 0
		}
	}
	return 1
}

func portOf(pod *corev1.Pod, name string) (int, bool) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name {
				return int(port.ContainerPort), true
			}
		}
	}
	return 0, false
}

// Explain returns an error of what was asked of a queue with its exit code and what
// to do.
func Explain(err error) error {
	var answered *operate.AnswerError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.As(err, new(*fault.Error)):
		return err
	case !errors.As(err, &answered):
		return fault.Wrap(err, fault.CodeNetwork, "the engine gave no answer")
	case answered.Status == http.StatusForbidden:
		return &fault.Error{Code: fault.CodeAuth, Message: "the engine refuses: " + answered.Message,
			Next: "→ the engine has another token than this folder's launch: 'deploy' brings this one's, or 'get' the launch that runs"}
	}
	return fault.Errorf(fault.CodeFailed, "%s", answered.Message)
}
