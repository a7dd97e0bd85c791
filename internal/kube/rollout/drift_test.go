package rollout_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// preview returns what a deploy would change, as diff asks for it.
func preview(t *testing.T, s *launchtest.Space, in render.Input) map[string]apply.Change {
	t.Helper()
	r := s.RolloutOf(t, in)
	r.IgnoreConflicts = true
	changes, err := r.Preview(t.Context())
	if err != nil {
		t.Fatalf("Preview: %v", err)
	}
	touched := map[string]apply.Change{}
	for _, c := range apply.Touched(changes) {
		touched[launchtest.Stem(c.Object.String())] = c
	}
	return touched
}

// What somebody else changed, scaled or deleted is shown with who did it and
// what a deploy makes of it; what an autoscaler set is no change.
func TestPreviewShowsDrift(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		if got := preview(t, s, in); len(got) != 0 {
			t.Fatalf("after a deploy: %+v", got)
		}
		scale(t, s, deploymentNamed(t, s, "algo-foo-bar"), "kubectl", 7)
		patch := []byte(`{"spec":{"revisionHistoryLimit":7}}`)
		if _, err := s.Admin.AppsV1().Deployments(s.Namespace).Patch(t.Context(), render.EngineName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "someone"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Admin.CoreV1().Services(s.Namespace).Delete(t.Context(), render.EngineName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		got := preview(t, s, in)
		for object, want := range map[string]struct {
			action apply.Action
			drift  string
			fields string
		}{
			"Deployment/algo-foo-bar":     {apply.Changed, "kubectl", "spec.replicas 7 2"},
			"Deployment/execution-engine": {apply.Changed, "someone", "spec.revisionHistoryLimit 7 3"},
			"Service/execution-engine":    {apply.Created, "somebody", ""},
		} {
			c := got[object]
			var fields []string
			for _, f := range c.Differences() {
				fields = append(fields, f.Path+" "+f.Old+" "+f.New)
			}
			if c.Action != want.action || strings.Join(c.Drift, ",") != want.drift || strings.Join(fields, "; ") != want.fields {
				t.Errorf("%s: %s, drift %q, %q; want %+v", object, c.Action, c.Drift, fields, want)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d changes, want three: %+v", len(got), got)
		}
		s.ForceConflicts = true
		s.MustDeploy(t, in)
		s.ForceConflicts = false
		scale(t, s, deploymentNamed(t, s, "algo-foo-bar"), "kubectl", 0)
		if c := preview(t, s, in)["Deployment/algo-foo-bar"]; c.Action != apply.Changed || strings.Join(c.Drift, ",") != "somebody" {
			t.Errorf("scaled to zero: %s, drift %q; want it changed by somebody", c.Action, c.Drift)
		}
		s.MustDeploy(t, in)
		scale(t, s, deploymentNamed(t, s, "algo-foo-bar"), "kube-controller-manager", 5)
		if got := preview(t, s, in); len(got) != 0 {
			t.Errorf("after an autoscaler: %+v", got)
		}
	})
}

// What a finalizer holds is told as that by deploy, diff and remove, until it
// is gone.
func TestFinalizerHoldsWhatIsPruned(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		service := deploymentNamed(t, s, "algo-foo-bar")
		finalizers := func(patch string) {
			if _, err := s.Admin.CoreV1().Services(s.Namespace).Patch(t.Context(), service, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		finalizers(`{"metadata":{"finalizers":["example.com/load-balancer"]}}`)
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		r := s.RolloutOf(t, in)
		var mu sync.Mutex
		said := ""
		launchtest.ObserverOf(r).OnReport = func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said += fmt.Sprintf(format, args...) + "\n"
		}
		stop := s.Controller(t)
		defer stop()
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatalf("Rollout: %v", err)
		}
		if want := "Service/" + service + " is deleted and still there: the finalizer example.com/load-balancer holds it"; !strings.Contains(said, want) {
			t.Errorf("the deploy said %q, want %q", said, want)
		}
		if got := preview(t, s, in)["Service/algo-foo-bar"]; got.Action != apply.Held || len(got.Finalizers) != 1 {
			t.Errorf("diff: %+v, want it held", got)
		}
		inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		owned, err := apply.Owned(t.Context(), s.Cluster, inventory)
		if err != nil {
			t.Fatal(err)
		}
		held, err := r.Remove(t.Context(), owned)
		if err != nil || len(held) != 1 || held[0].Name != service {
			t.Errorf("Remove = %v, %v; want the Service held", held, err)
		}
		finalizers(`{"metadata":{"finalizers":null}}`)
		s.MustDeploy(t, in)
		if got := preview(t, s, in); len(got) != 0 {
			t.Errorf("when it is gone: %+v", got)
		}
	})
}
