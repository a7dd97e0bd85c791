package rollout_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// scale sets replicas as kubectl scale and autoscalers do.
func scale(t *testing.T, s *launchtest.Space, deployment, manager string, replicas int32) {
	t.Helper()
	scale := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: deployment, Namespace: s.Namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas},
	}
	if _, err := s.Admin.AppsV1().Deployments(s.Namespace).UpdateScale(t.Context(), deployment, scale, metav1.UpdateOptions{FieldManager: manager}); err != nil {
		t.Fatal(err)
	}
}

// What an autoscaler set is left to it; what somebody scaled goes back. Both
// are told, and neither stops a deploy, of the same version or of the next.
func TestRolloutOfWhatWasScaled(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		hello := deploymentNamed(t, s, "algo-foo-bar")
		for _, test := range []struct {
			manager  string
			to       int32
			want     int32
			deployed apply.Action
			told     string
		}{
			{"kube-controller-manager", 7, 7, apply.Unchanged, "an autoscaler set 7 replicas"},
			{"kubectl", 6, 2, apply.Changed, "kubectl set 6 replicas, and 2 are configured"},
			{"kubectl", 0, 2, apply.Changed, "somebody scaled it to 0, and 2 are configured"},
			{"kube-controller-manager", 5, 5, apply.Unchanged, "an autoscaler set 5 replicas"},
		} {
			scale(t, s, hello, test.manager, test.to)
			var mu sync.Mutex
			var said []string
			r := s.RolloutOf(t, in)
			launchtest.ObserverOf(r).OnReport = func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, fmt.Sprintf(format, args...))
			}
			stop := s.Controller(t)
			changes, err := r.Run(t.Context())
			stop()
			if err != nil {
				t.Fatalf("%s: Rollout: %v", test.manager, err)
			}
			for _, c := range changes {
				if c.Object.String() == "Deployment/"+hello && c.Action != test.deployed {
					t.Errorf("%s: the Deployment is %s, want %s", test.manager, c.Action, test.deployed)
				}
			}
			d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), hello, metav1.GetOptions{})
			if err != nil || *d.Spec.Replicas != test.want {
				t.Errorf("%s: %d replicas, %v; want %d", test.manager, *d.Spec.Replicas, err, test.want)
			}
			if text := strings.Join(said, "\n"); !strings.Contains(text, test.told) {
				t.Errorf("%s: told %q, want %q", test.manager, text, test.told)
			}
		}
		in.Plan.Satellite.Version = 2
		in.Settings.Replicas = map[string]int{"foo/bar": 3}
		scale(t, s, render.EngineName, "kubectl", 4)
		if _, err := s.Deploy(t, in); err != nil {
			t.Errorf("the next version: %v", err)
		}
		if _, err := (&apply.Applier{Cluster: s.Cluster}).Compare(context.WithoutCancel(t.Context()), s.RolloutOf(t, in).Objects); err != nil {
			t.Errorf("Compare: %v", err)
		}
	})
}
