package rollout_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

func queueSet(t *testing.T, s *launchtest.Space) *appsv1.StatefulSet {
	t.Helper()
	set, err := s.Admin.AppsV1().StatefulSets(s.Namespace).Get(t.Context(), render.QueueName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// touched leaves out what stays as it is.
func touched(actions map[string]apply.Action) map[string]apply.Action {
	left := map[string]apply.Action{}
	for name, action := range actions {
		if action != apply.Unchanged {
			left[name] = action
		}
	}
	return left
}

// A satellite gets a queue by a plain deploy and loses it by another one; what
// the engines noted of it is left alone, and what somebody scaled goes back.
func TestRolloutOfAQueue(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		ctx, plain := t.Context(), launchtest.Input()
		s.MustDeploy(t, plain)
		for _, storage := range []string{config.StorageEphemeral, config.StoragePersistent} {
			in := launchtest.Queued(launchtest.Input(), render.ProfileHA, storage)
			made := touched(s.MustDeploy(t, in))
			want := map[string]apply.Action{
				"ConfigMap/execution-engine": apply.Changed, "Role/execution-engine": apply.Changed, "ConfigMap/execution-engine-queue": apply.Created,
				"NetworkPolicy/queue": apply.Created, "PodDisruptionBudget/queue": apply.Created, "ServiceAccount/queue": apply.Created,
				"Service/queue": apply.Created, "StatefulSet/queue": apply.Created,
			}
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("%s: changes (-want +got):\n%s", storage, diff)
			}
			deployments, err := health.Deployments(ctx, s.Cluster, in.Plan.Launch.ID, []string{render.QueueName})
			if err != nil || len(deployments) != 1 || !deployments[0].Ready || deployments[0].Desired != 3 {
				t.Errorf("%s: health = %+v, %v; want three ready nodes", storage, deployments, err)
			}
			noted := []byte(`{"data":{"incarnation":"one"}}`)
			if _, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Patch(ctx, config.QueueState, types.MergePatchType, noted, metav1.PatchOptions{FieldManager: "engine"}); err != nil {
				t.Fatal(err)
			}
			if again := touched(s.MustDeploy(t, in)); len(again) != 0 {
				t.Errorf("%s: a second deploy changes %v", storage, again)
			}
			one := []byte(`{"spec":{"replicas":1}}`)
			if _, err := s.Admin.AppsV1().StatefulSets(s.Namespace).Patch(ctx, render.QueueName, types.MergePatchType, one, metav1.PatchOptions{FieldManager: "kubectl"}); err != nil {
				t.Fatal(err)
			}
			if back := touched(s.MustDeploy(t, in)); len(back) != 1 || *queueSet(t, s).Spec.Replicas != 3 {
				t.Errorf("%s: scaled by hand, a deploy changes %v, and there are %d nodes", storage, back, *queueSet(t, s).Spec.Replicas)
			}
			if state, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Get(ctx, config.QueueState, metav1.GetOptions{}); err != nil || state.Data["incarnation"] != "one" {
				t.Errorf("%s: what the engines noted is %v, %v", storage, state.Data, err)
			}
			gone := touched(s.MustDeploy(t, plain))
			if gone["StatefulSet/queue"] != apply.Deleted || gone["Service/queue"] != apply.Deleted || queueSet(t, s) != nil {
				t.Errorf("%s: without a queue: %v", storage, gone)
			}
		}
	})
}

// The volume of an engine that runs the queue itself stays, whatever becomes of
// the queue: only a removal that is told to takes it.
func TestRolloutLeavesVolumes(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		ctx := t.Context()
		in := launchtest.Queued(launchtest.Input(), render.ProfileEdge, config.StoragePersistent)
		plain := launchtest.Input()
		plain.Settings.Profile = render.ProfileEdge
		claims := func() int {
			list, err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + in.Plan.Launch.ID})
			if err != nil {
				t.Fatal(err)
			}
			return len(list.Items)
		}
		s.MustDeploy(t, in)
		engine, err := s.Admin.AppsV1().Deployments(s.Namespace).Get(ctx, render.EngineName, metav1.GetOptions{})
		if err != nil || engine.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || claims() != 1 {
			t.Fatalf("edge: %v, strategy %s, %d claims", err, engine.Spec.Strategy.Type, claims())
		}
		if again := touched(s.MustDeploy(t, in)); len(again) != 0 {
			t.Errorf("a second deploy changes %v", again)
		}
		preview, err := s.RolloutOf(t, plain).Preview(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range preview {
			if change.Object.Kind == "PersistentVolumeClaim" {
				t.Errorf("the preview of a deploy without a queue has %+v", change)
			}
		}
		s.MustDeploy(t, plain)
		if claims() != 1 {
			t.Errorf("a deploy without a queue left %d claims, want the one", claims())
		}
		s.MustDeploy(t, in)
		inventory, err := apply.ReadInventory(ctx, s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		owned, err := apply.Owned(ctx, s.Cluster, inventory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RolloutOf(t, in).Remove(ctx, owned); err != nil {
			t.Fatal(err)
		}
		if claims() != 1 {
			t.Errorf("a removal left %d claims, want the one", claims())
		}
	})
}

// What a StatefulSet's controller is refused shows in events alone.
func TestHealthOfAQueueWithoutPods(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		ctx, in := t.Context(), launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StorageEphemeral)
		s.MustDeploy(t, in)
		set := queueSet(t, s)
		set.Status = appsv1.StatefulSetStatus{ObservedGeneration: set.Generation, CurrentRevision: "one", UpdateRevision: "one"}
		if _, err := s.Admin.AppsV1().StatefulSets(s.Namespace).UpdateStatus(ctx, set, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		const said = "create Pod queue-0 in StatefulSet queue failed error: exceeded quota: small"
		event := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "queue-"}, Type: corev1.EventTypeWarning, Reason: "FailedCreate", Message: said, LastTimestamp: metav1.Now(),
			InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "StatefulSet", Name: render.QueueName, Namespace: s.Namespace},
		}
		if _, err := s.Admin.CoreV1().Events(s.Namespace).Create(ctx, event, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		deployments, err := health.Deployments(ctx, s.Cluster, in.Plan.Launch.ID, []string{render.QueueName})
		if err != nil || deployments[0].Ready || deployments[0].Reason != said {
			t.Errorf("health = %+v, %v; want %q", deployments, err, said)
		}
	})
}
