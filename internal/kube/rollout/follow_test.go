package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// A count that follows the load is the engines': no deploy of the same version
// changes it or calls it drift, the next version starts with it, other bounds
// hold it, and a count that is configured ends the following.
func TestRolloutLeavesReplicasThatFollowTheLoad(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		const engines = "constellation-engine"
		bounded := func(least, most int) map[string]render.Bounds {
			return map[string]render.Bounds{"foo/bar": {Least: least, Most: most}}
		}
		in := launchtest.Input()
		in.Settings.Scale = bounded(1, 10)
		s.MustDeploy(t, in)
		first := deploymentNamed(t, s, "algo-foo-bar")
		for _, test := range []struct {
			name  string
			to    int32 // that the engines set before
			scale map[string]render.Bounds
			fixed map[string]int
			want  int32
			quiet bool
			told  string
		}{
			{name: "set by the engines", to: 7, scale: bounded(1, 10), want: 7, quiet: true},
			{name: "the same again", to: 7, scale: bounded(1, 10), want: 7, quiet: true},
			{name: "lower", to: 3, scale: bounded(1, 10), want: 3, quiet: true},
			{name: "other bounds around it", to: 6, scale: bounded(0, 8), want: 6},
			{name: "bounds below it", to: 6, scale: bounded(0, 4), want: 4, told: "follow the load from 0 to 4, so 6 become 4"},
			{name: "to none", to: 0, scale: bounded(0, 4), want: 0, quiet: true},
			{name: "bounds above it", to: 0, scale: bounded(2, 4), want: 2, told: "so 0 become 2"},
			{name: "a count that stays", to: 4, fixed: map[string]int{"foo/bar": 3}, want: 3, told: "follow the load no more, so 4 become 3"},
			{name: "following anew", to: 3, scale: bounded(1, 10), want: 3},
		} {
			if test.name != "a count that stays" || test.to != 3 {
				scale(t, s, first, engines, test.to)
			}
			in.Settings.Scale, in.Settings.Replicas = test.scale, test.fixed
			r := s.RolloutOf(t, in)
			preview, err := r.Preview(t.Context())
			if err != nil {
				t.Fatalf("%s: Preview: %v", test.name, err)
			}
			if pending := apply.Touched(preview); test.quiet && len(pending) > 0 {
				t.Errorf("%s: a preview has %+v", test.name, pending)
			}
			for _, change := range preview {
				if change.Object.Name == first && test.quiet && len(change.Drift) > 0 {
					t.Errorf("%s: called drift of %v", test.name, change.Drift)
				}
			}
			var mu sync.Mutex
			var said []string
			launchtest.ObserverOf(r).OnReport = func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, fmt.Sprintf(format, args...))
			}
			stop := s.Controller(t)
			_, err = r.Run(t.Context())
			stop()
			if err != nil {
				t.Fatalf("%s: Rollout: %v", test.name, err)
			}
			d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), first, metav1.GetOptions{})
			if err != nil || *d.Spec.Replicas != test.want {
				t.Errorf("%s: %d replicas, %v; want %d", test.name, *d.Spec.Replicas, err, test.want)
			}
			text := strings.Join(said, "\n")
			if test.told == "" && strings.Contains(text, "replicas") || !strings.Contains(text, test.told) {
				t.Errorf("%s: told %q, want %q", test.name, text, test.told)
			}
		}
		scale(t, s, first, engines, 8)
		next := launchtest.Edited()
		next.Plan.Algorithms[0].Image.Digest = launchtest.Digest("b")
		next.Settings.Scale = bounded(1, 10)
		s.MustDeploy(t, next)
		second := deploymentNamed(t, s, "algo-foo-bar")
		d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), second, metav1.GetOptions{})
		if err != nil || second == first || *d.Spec.Replicas != 8 {
			t.Errorf("the next version's %s has %d replicas, %v; want the 8 of %s", second, *d.Spec.Replicas, err, first)
		}
		deployments, err := health.Deployments(t.Context(), s.Cluster, next.Plan.Launch.ID, nil)
		if err != nil || !slices.ContainsFunc(deployments, func(h health.Deployment) bool { return h.Name == second && h.Scale == "1..10" }) {
			t.Errorf("health = %+v, %v; want the bounds of %s", deployments, err, second)
		}
	})
}

// An object that is written while engines scale it is written all the same, and
// keeps a count that they set.
func TestApplyWhileReplicasFollowTheLoad(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		in.Settings.Scale = map[string]render.Bounds{"foo/bar": {Least: 1, Most: 10}}
		s.MustDeploy(t, in)
		name := deploymentNamed(t, s, "algo-foo-bar")
		object := launchtest.Find(s.RolloutOf(t, in).Objects, "Deployment/algo-foo-bar")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for n := int32(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				scaled := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.Namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 3 + n%5}}
				_, _ = s.Admin.AppsV1().Deployments(s.Namespace).UpdateScale(t.Context(), name, scaled, metav1.UpdateOptions{FieldManager: "constellation-engine"})
			}
		}()
		applier := &apply.Applier{Cluster: s.Cluster, LaunchID: in.Plan.Launch.ID}
		for range 20 {
			if err := applier.Apply(t.Context(), object); err != nil {
				t.Errorf("Apply: %v", err)
			}
		}
		close(stop)
		<-done
		d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas < 3 || *d.Spec.Replicas > 7 {
			t.Errorf("%d replicas, %v; want what the engines set last", *d.Spec.Replicas, err)
		}
	})
}
