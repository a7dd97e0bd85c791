package kube_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube"
)

// Going back brings the objects of a version back, and no key or login of its
// time.
func TestRollback(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		first := testInput()
		s.mustRollout(t, first)
		before := s.deployment(t, "algo-foo-bar")
		second := testInput()
		second.Plan.Satellite.Version = 2
		second.Plan.Algorithms[0].Image.Digest = digest("b")
		second.Plan.Algorithms[0].Replicas = 1
		second.Plan.Keys = nil
		s.mustRollout(t, second)
		if now := s.deployment(t, "algo-foo-bar"); now == before {
			t.Fatalf("another image runs under the same name %s", now)
		}
		inventory, err := s.Inventory(t.Context())
		if err != nil || len(inventory.History) != 2 || inventory.History[0].Version != 1 {
			t.Fatalf("Inventory = %+v, %v; want two versions in its history", inventory, err)
		}
		plan := *first.Plan
		objects, err := s.Past(t.Context(), &plan, inventory, 1)
		if err != nil {
			t.Fatal(err)
		}
		stop := s.controller(t)
		defer stop()
		r := s.of(t, first)
		r.Objects = objects
		if _, err := s.Rollout(t.Context(), r); err != nil {
			t.Fatalf("Rollout of version 1: %v", err)
		}
		if now := s.deployment(t, "algo-foo-bar"); now != before {
			t.Errorf("after the rollback %s runs, want %s", now, before)
		}
		secret, err := s.admin.CoreV1().Secrets(s.namespace).Get(t.Context(), kube.EngineName, metav1.GetOptions{})
		if err != nil || strings.Contains(string(secret.Data["keys.json"]), "caller") {
			t.Errorf("keys.json = %s, %v; want the key that version 2 revoked to stay so", secret.Data["keys.json"], err)
		}
		if _, err := s.Past(t.Context(), &plan, inventory, 7); !errors.Is(err, kube.ErrNoHistory) {
			t.Errorf("Past(7) = %v, want ErrNoHistory", err)
		}
		kept, err := s.admin.CoreV1().ConfigMaps(s.namespace).Get(t.Context(), "constellation-history-1", metav1.GetOptions{})
		if err != nil || kept.Labels[kube.LabelVersion] != "1" {
			t.Errorf("the history of version 1: %v, %v", kept, err)
		}
	})
}

// While version 2 does not get ready, version 1 keeps its routes, its pods and
// as many of them as it had.
func TestFailedChangeLeavesReplicas(t *testing.T) {
	eachServer(t, func(t *testing.T, s *space) {
		in := testInput()
		s.mustRollout(t, in)
		deep := kube.AlgorithmName("Deep/Thought_1")
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms[0].Replicas = 1 // of 2
		in.Plan.Algorithms[1].Image.Digest = digest("a")
		ctx, cancel := context.WithCancel(t.Context())
		r := s.of(t, in)
		r.Looked = func([]kube.Health) { cancel() } // the wait has begun: all that comes before it is written
		if _, err := s.Rollout(ctx, r); err == nil || !strings.Contains(err.Error(), "version 1 keeps serving") {
			t.Fatalf("Rollout = %v, want version 1 serving", err)
		}
		d, err := s.admin.AppsV1().Deployments(s.namespace).Get(t.Context(), s.deployment(t, "algo-foo-bar"), metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas != 2 {
			t.Errorf("replicas = %v, %v; want the 2 of version 1", *d.Spec.Replicas, err)
		}
		list, err := s.admin.AppsV1().Deployments(s.namespace).List(t.Context(), metav1.ListOptions{})
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
		if got := s.mustRollout(t, in); got["Deployment/algo-foo-bar"] != kube.Changed || got["Deployment/"+deep] != kube.Deleted {
			t.Errorf("the next rollout: %v", got)
		}
	})
}
