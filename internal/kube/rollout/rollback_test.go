package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Going back brings the objects of a version back, and no key or login of its
// time.
func TestRollback(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		first := launchtest.Input()
		s.MustDeploy(t, first)
		before := deploymentNamed(t, s, "algo-foo-bar")
		second := launchtest.Input()
		second.Plan.Satellite.Version = 2
		second.Plan.Algorithms[0].Image.Digest = launchtest.Digest("b")
		second.Plan.Algorithms[0].Replicas = 1
		second.Plan.Keys = nil
		s.MustDeploy(t, second)
		if now := deploymentNamed(t, s, "algo-foo-bar"); now == before {
			t.Fatalf("another image runs under the same name %s", now)
		}
		inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil || len(inventory.History) != 2 || inventory.History[0].Version != 1 {
			t.Fatalf("Inventory = %+v, %v; want two versions in its history", inventory, err)
		}
		plan := *first.Plan
		objects, err := apply.LoadVersion(t.Context(), s.Cluster, &plan, inventory, 1)
		if err != nil {
			t.Fatal(err)
		}
		stop := s.Controller(t)
		defer stop()
		r := s.RolloutOf(t, first)
		r.Objects = objects
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatalf("Rollout of version 1: %v", err)
		}
		if now := deploymentNamed(t, s, "algo-foo-bar"); now != before {
			t.Errorf("after the rollback %s runs, want %s", now, before)
		}
		secret, err := s.Admin.CoreV1().Secrets(s.Namespace).Get(t.Context(), render.EngineName, metav1.GetOptions{})
		if err != nil || strings.Contains(string(secret.Data["keys.json"]), "caller") {
			t.Errorf("keys.json = %s, %v; want the key that version 2 revoked to stay so", secret.Data["keys.json"], err)
		}
		if _, err := apply.LoadVersion(t.Context(), s.Cluster, &plan, inventory, 7); !errors.Is(err, apply.ErrNoHistory) {
			t.Errorf("Past(7) = %v, want ErrNoHistory", err)
		}
		kept, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Get(t.Context(), "constellation-history-1", metav1.GetOptions{})
		if err != nil || kept.Labels[render.LabelVersion] != "1" {
			t.Errorf("the history of version 1: %v, %v", kept, err)
		}
	})
}

// After a deploy that failed, a rollback leaves the version that serves as it
// is and clears the rest; gone back from, a version is not come back to.
func TestRollbackAfterAFailedDeploy(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		s.MustDeploy(t, launchtest.Input())
		s.MustDeploy(t, launchtest.Edited())
		serving := resourceVersionOf(t, s, render.AlgorithmName("Deep/Thought_1"))
		broken := launchtest.Input()
		broken.Plan.Satellite.Version = 3
		broken.Plan.Algorithms[0].Image.Digest = launchtest.Digest("b")
		ctx, cancel := context.WithCancel(t.Context())
		failing := s.RolloutOf(t, broken)
		launchtest.ObserverOf(failing).OnObserved = func([]health.Deployment) { cancel() }
		if _, err := failing.Run(ctx); err == nil {
			t.Fatal("the deploy of version 3 did not fail")
		}
		if got := goBack(t, s, 0); got.Version != 2 || got.Direction != apply.Clearing || got.Failed != 3 {
			t.Fatalf("after the failed deploy: %+v, want the rest of version 3 cleared", got)
		}
		s.WantComplete(t, 2)
		if now := resourceVersionOf(t, s, render.AlgorithmName("Deep/Thought_1")); now != serving {
			t.Errorf("the algorithm that served was written: %s, then %s", serving, now)
		}
		if list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 3 {
			t.Errorf("%d Deployments, %v; want the three of version 2", len(list.Items), err)
		}
		if got := goBack(t, s, 0); got.Version != 1 || got.Direction != apply.Back || got.Failed != 0 {
			t.Fatalf("from version 2: %+v, want back to 1", got)
		}
		s.WantComplete(t, 1)
		inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := inventory.RollbackTo(0); err == nil {
			t.Errorf("from version 1, before which none was ready: %+v", got)
		}
		if got := goBack(t, s, 2); got.Direction != apply.Forward {
			t.Errorf("to version 2 again: %+v, want it called forward", got)
		}
		s.WantComplete(t, 2)
	})
}

// goBack rolls back as the installer does.
func goBack(t *testing.T, s *launchtest.Space, version int) apply.RollbackTarget {
	t.Helper()
	defer s.Controller(t)()
	inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	target, err := inventory.RollbackTo(version)
	if err != nil {
		t.Fatal(err)
	}
	plan := *launchtest.Input().Plan
	plan.Satellite.Version = target.Version
	objects, err := apply.LoadVersion(t.Context(), s.Cluster, &plan, inventory, target.Version)
	if err != nil {
		t.Fatal(err)
	}
	r := s.RolloutOf(t, launchtest.Input())
	r.Plan, r.Objects, r.Back = &plan, objects, true
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatalf("roll back to version %d: %v", target.Version, err)
	}
	return target
}

// resourceVersionOf is that of the spec of the Deployment that begins so.
func resourceVersionOf(t *testing.T, s *launchtest.Space, stem string) string {
	t.Helper()
	list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		if strings.HasPrefix(d.Name, stem) {
			return fmt.Sprint(d.Name, " ", d.UID, " ", d.Generation)
		}
	}
	return ""
}

// While version 2 does not get ready, version 1 keeps its routes, its pods and
// as many of them as it had.
func TestFailedChangeLeavesReplicas(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		deep := render.AlgorithmName("Deep/Thought_1")
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms[0].Replicas = 1 // of 2
		in.Plan.Algorithms[1].Image.Digest = launchtest.Digest("a")
		ctx, cancel := context.WithCancel(t.Context())
		r := s.RolloutOf(t, in)
		launchtest.ObserverOf(r).OnObserved = func([]health.Deployment) { cancel() } // the wait has begun: all that comes before it is written
		if _, err := r.Run(ctx); err == nil || !strings.Contains(err.Error(), "version 1 keeps serving") {
			t.Fatalf("Rollout = %v, want version 1 serving", err)
		}
		d, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(t.Context(), deploymentNamed(t, s, "algo-foo-bar"), metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas != 2 {
			t.Errorf("replicas = %v, %v; want the 2 of version 1", *d.Spec.Replicas, err)
		}
		list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		beside := 0
		for _, d := range list.Items {
			if strings.HasPrefix(d.Name, deep) {
				beside++
			}
		}
		if beside != 2 {
			t.Errorf("%d Deployments of the changed algorithm, want the old and the new", beside)
		}
		if got := s.MustDeploy(t, in); got["Deployment/algo-foo-bar"] != apply.Changed || got["Deployment/"+deep] != apply.Deleted {
			t.Errorf("the next rollout: %v", got)
		}
	})
}
