package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

func TestRolloutCreatesKeepsChangesAndPrunes(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		for object, action := range s.MustDeploy(t, in) {
			if action != apply.Created {
				t.Errorf("first rollout: %s %s, want created", object, action)
			}
		}
		before := resourceVersions(t, s)
		for object, action := range s.MustDeploy(t, in) {
			if action != apply.Unchanged {
				t.Errorf("second rollout: %s %s, want unchanged", object, action)
			}
		}
		if after := resourceVersions(t, s); before != after {
			t.Errorf("a rollout with nothing to change wrote: %s, then %s", before, after)
		}
		theirs := foreign(t, s)
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		actions := s.MustDeploy(t, in)
		for _, object := range []string{"Deployment/algo-foo-bar", "Service/algo-foo-bar", "NetworkPolicy/algo-foo-bar"} {
			if actions[object] != apply.Deleted {
				t.Errorf("third rollout: %s %q, want deleted", object, actions[object])
			}
		}
		if name := deploymentNamed(t, s, "algo-foo-bar"); name != "" {
			t.Errorf("Deployment %s is still there", name)
		}
		if _, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Get(t.Context(), theirs, metav1.GetOptions{}); err != nil {
			t.Errorf("someone else's ConfigMap: %v", err)
		}
		inventory, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil || inventory.Installed != 2 || inventory.Wanted != 2 {
			t.Errorf("Inventory = %+v, %v; want version 2 installed", inventory, err)
		}
	})
}

// resourceVersions changes with every write to the launch's objects.
func resourceVersions(t *testing.T, s *launchtest.Space) string {
	t.Helper()
	deployments, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	maps, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := s.Admin.CoreV1().Secrets(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, o := range deployments.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	for _, o := range maps.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	for _, o := range secrets.Items {
		versions = append(versions, o.Name+o.ResourceVersion)
	}
	return strings.Join(versions, " ")
}

// deploymentNamed returns the name, with its revision, of an algorithm's Deployment
// and Service; "" when there is none.
func deploymentNamed(t *testing.T, s *launchtest.Space, name string) string {
	t.Helper()
	list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		if launchtest.Stem("/"+d.Name) == "/"+name {
			return d.Name
		}
	}
	return ""
}

func foreign(t *testing.T, s *launchtest.Space) string {
	t.Helper()
	made, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.Name
}

// Objects of the inventory that were taken over by someone else stay.
func TestPruneLeavesWhatLostTheLabel(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		patch, service := []byte(`{"metadata":{"labels":{"constellation/launch":null}}}`), deploymentNamed(t, s, "algo-foo-bar")
		if _, err := s.Admin.CoreV1().Services(s.Namespace).Patch(t.Context(), service, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		s.MustDeploy(t, in)
		if _, err := s.Admin.CoreV1().Services(s.Namespace).Get(t.Context(), service, metav1.GetOptions{}); err != nil {
			t.Errorf("Service algo-foo-bar: %v, want it left alone", err)
		}
	})
}

func TestRolloutReportsConflicts(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		patch := []byte(`{"spec":{"minReadySeconds":7,"revisionHistoryLimit":7}}`)
		if _, err := s.Admin.AppsV1().Deployments(s.Namespace).Patch(t.Context(), render.EngineName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "someone"}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Deploy(t, in)
		if err == nil || !strings.Contains(err.Error(), "Deployment/execution-engine") || !strings.Contains(err.Error(), "someone") || !strings.Contains(err.Error(), ".spec.revisionHistoryLimit") {
			t.Fatalf("Rollout = %v, want the object, the field and who set it", err)
		}
		s.ForceConflicts = true
		if actions := s.MustDeploy(t, in); actions["Deployment/execution-engine"] != apply.Changed {
			t.Errorf("forced rollout: %v", actions)
		}
	})
}

// One object that the server refuses leaves everything as it was.
func TestRolloutChangesNothingWhenOneObjectIsRefused(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		in.Settings.Ingress.Host = "Not A Host"
		_, err := s.Deploy(t, in)
		if err == nil || !strings.Contains(err.Error(), "Ingress/execution-engine") {
			t.Fatalf("Rollout = %v, want the Ingress refused", err)
		}
		list, err := s.Admin.AppsV1().Deployments(s.Namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("%d deployments were made, %v", len(list.Items), err)
		}
	})
}

// There are no controllers on a bare API server: the test is them.
func TestRolloutWaitsBeforeTheRoutesChange(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		in.Plan.Satellite.Version = 2
		in.Plan.Algorithms = in.Plan.Algorithms[1:]
		in.Plan.Algorithms[0].Image.Digest = launchtest.Digest("a") // a new one
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		r := s.RolloutOf(t, in)
		_, err := r.Run(ctx)
		var late *health.NotReadyError
		if !errors.As(err, &late) || !strings.Contains(err.Error(), "keeps serving") {
			t.Fatalf("Rollout = %v, want not ready and the old version serving", err)
		}
		if routes := s.Routes(t); !strings.Contains(routes, "foo/bar") {
			t.Error("the routes changed before the algorithms were ready")
		}
		if deploymentNamed(t, s, "algo-foo-bar") == "" {
			t.Error("the old version's deployment is gone")
		}
		stop := s.Controller(t)
		defer stop()
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatalf("Rollout again: %v", err)
		}
		if routes := s.Routes(t); strings.Contains(routes, "foo/bar") {
			t.Error("the routes still have what version 2 dropped")
		}
	})
}
