package rollout

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// podPoll is how often a removal looks for pods that still end.
const podPoll = time.Second

// Remove deletes objects of the launch in the given order and, with r.Wait,
// ends when its pods are gone. It returns those that finalizers still hold. It
// never deletes a namespace.
func (r Rollout) Remove(ctx context.Context, objects []apply.Object) (held []apply.Object, err error) {
	r.Observer.Phase("remove")
	changes, err := r.applier().DeleteAll(ctx, objects)
	held = apply.HeldObjects(changes)
	if err != nil || !r.Wait {
		return held, err
	}
	return held, r.waitGone(ctx)
}

// waitGone waits for the launch's pods, which may have calls to finish.
func (r Rollout) waitGone(ctx context.Context) error {
	r.Observer.Phase("wait")
	ticker := time.NewTicker(podPoll)
	defer ticker.Stop()
	reported := -1
	for {
		pods, err := r.Cluster.Typed.CoreV1().Pods(r.Cluster.Namespace).List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + r.Plan.Launch.ID})
		if err != nil {
			return fmt.Errorf("list the satellite's pods: %w", err)
		}
		if n := len(pods.Items); n == 0 {
			return nil
		} else if n != reported {
			reported = n
			r.Observer.Report("%d pods finish their calls and end", n)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d pods still end: %w", reported, ctx.Err())
		case <-ticker.C:
		}
	}
}
