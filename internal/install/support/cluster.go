package support

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/support"
)

// How much of a cluster goes into a bundle.
const (
	maxPods   = 200
	maxEvents = 2000
	logLines  = int64(2000) // of a container
)

// Cluster adds what the launch has on its cluster. Secrets come first: their values
// are taken out of all that follows.
func (a *Archive) Cluster(ctx context.Context, c *cluster.Cluster, launchID string) error {
	inventory, err := apply.ReadInventory(ctx, c)
	switch {
	case err != nil:
		a.Note("cluster/objects", err)
	case inventory == nil:
		a.Note("cluster/objects", errors.New("nothing of the launch is installed"))
	default:
		if err := a.objects(ctx, c, inventory.Objects); err != nil {
			return err
		}
	}
	pods, err := c.Typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + launchID, Limit: maxPods})
	if err != nil {
		a.Note("cluster/pods", err)
		return a.events(ctx, c)
	}
	for _, pod := range pods.Items {
		if err := a.object(ctx, "cluster/pods/"+pod.Name+".json", &pod); err != nil {
			return err
		}
	}
	if pods.Continue != "" {
		a.Note("cluster/pods", fmt.Errorf("there are more than %d", maxPods))
	}
	if err := a.events(ctx, c); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if err := a.logs(ctx, c, &pod); err != nil {
			return err
		}
	}
	return nil
}

// objects adds what the inventory names, Secrets before all others.
func (a *Archive) objects(ctx context.Context, c *cluster.Cluster, list []apply.Object) error {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y apply.Object) int { return rank(x) - rank(y) })
	for _, o := range list {
		name := fmt.Sprintf("cluster/objects/%s-%s.json", strings.ToLower(o.KindName()), o.Name)
		err := a.JSON(ctx, name, func(ctx context.Context) (any, error) {
			object, err := c.Get(ctx, o.APIVersion, o.Kind, o.Name)
			if err != nil || object == nil {
				return nil, cmpError(err, "it is not there")
			}
			if o.Kind == "Secret" {
				a.learn(object.Object)
			}
			return object.Object, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func rank(o apply.Object) int {
	if o.Kind == "Secret" {
		return 0
	}
	return 1
}

func cmpError(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// learn makes a Secret's values known to the redactor, and what is in a login.
func (a *Archive) learn(object map[string]any) {
	var secret corev1.Secret
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &secret); err != nil {
		return // its values are masked where they stand
	}
	for _, value := range secret.Data {
		a.Learn(value)
	}
}

// object adds a typed object.
func (a *Archive) object(ctx context.Context, name string, object runtime.Object) error {
	return a.JSON(ctx, name, func(context.Context) (any, error) {
		return runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	})
}

// events adds those of the namespace, the newest last.
func (a *Archive) events(ctx context.Context, c *cluster.Cluster) error {
	return a.Part(ctx, "cluster/events.txt", func(ctx context.Context) ([]byte, error) {
		list, err := c.Typed.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{Limit: maxEvents})
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(list.Items, func(x, y corev1.Event) int { return seen(&x).Compare(seen(&y).Time) })
		var b bytes.Buffer
		for _, e := range list.Items {
			fmt.Fprintf(&b, "%s %s %s/%s %s (%d): %s\n", seen(&e).UTC().Format("2006-01-02T15:04:05Z"), e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name,
				e.Reason, e.Count, strings.Join(strings.Fields(e.Message), " "))
		}
		return b.Bytes(), nil
	})
}

func seen(e *corev1.Event) *metav1.Time {
	if e.LastTimestamp.IsZero() {
		return &metav1.Time{Time: e.EventTime.Time}
	}
	return &e.LastTimestamp
}

// logs adds the last lines of a pod's containers, and of those before their last
// restart.
func (a *Archive) logs(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) error {
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, previous := range []bool{false, true} {
			if previous && !hasRestarted(pod, container.Name) {
				continue
			}
			name := "logs/" + pod.Name + "/" + container.Name + ".log"
			if previous {
				name = "logs/" + pod.Name + "/" + container.Name + ".previous.log"
			}
			err := a.Part(ctx, name, func(ctx context.Context) ([]byte, error) {
				var b bytes.Buffer
				lines := logLines
				err := c.EachLogLine(ctx, pod.Name, &corev1.PodLogOptions{Container: container.Name, Previous: previous, TailLines: &lines}, func(line string) error {
					b.WriteString(line + "\n")
					if over := b.Len() - 2*support.MaxPart; over > 0 {
						b.Next(over)
					}
					return nil
				})
				return b.Bytes(), err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func hasRestarted(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses), func(s corev1.ContainerStatus) bool {
		return s.Name == container && s.RestartCount > 0
	})
}
