package preflight_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// storageClass makes a class, of this test alone, for as long as it runs.
func storageClass(t *testing.T, s *launchtest.Space, suffix, provisioner string, standard bool) string {
	t.Helper()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace + "-" + suffix}, Provisioner: provisioner}
	if standard {
		class.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
	}
	if _, err := s.Admin.StorageV1().StorageClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Admin.StorageV1().StorageClasses().Delete(context.WithoutCancel(t.Context()), class.Name, metav1.DeleteOptions{})
	})
	return class.Name
}

// queueCheck is what a preflight says of the queue's storage.
func queueCheck(t *testing.T, c *cluster.Cluster, in render.Input) (said string, state preflight.State) {
	t.Helper()
	for _, check := range launchtest.Preflight(t, c, in) {
		if check.Name == "queue storage" {
			said, state = said+check.Message+"\n"+check.Fix+"\n", check.State
		}
	}
	return said, state
}

// want holds what a preflight says of the queue's storage to words.
func wantStorage(t *testing.T, what, said string, state, want preflight.State, words ...string) {
	t.Helper()
	if state != want {
		t.Errorf("%s: %s, want %s: %s", what, state, want, said)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%s: %q does not say %q", what, said, word)
		}
	}
}

// All in one test, one after the other: a default StorageClass is the whole
// cluster's.
func TestQueueStorage(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		persistent := launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StoragePersistent)
		ephemeral := launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StorageEphemeral)
		edge := launchtest.Queued(launchtest.Input(), render.ProfileEdge, config.StorageEphemeral)
		auto := launchtest.Queued(launchtest.Input(), render.ProfileHA, "")
		settled := func(c *cluster.Cluster, in render.Input) render.Queue {
			t.Helper()
			q, err := preflight.SettleQueue(t.Context(), c, in)
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
		// Who may do all that the queue needs in the namespace, and not list
		// classes.
		namespaced := launchtest.Connect(t, s.As(t, "namespaced", &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "namespaced"}, Rules: preflight.Rules(s.APIs, true, true)}), s.Namespace)
		powerless := launchtest.Connect(t, s.As(t, "no-one", nil), s.Namespace)

		said, state := queueCheck(t, s.Cluster, persistent)
		wantStorage(t, "no class at all", said, state, preflight.Problem, "default StorageClass, and it has none", "stage.queue.storage=ephemeral")
		said, state = queueCheck(t, namespaced, persistent)
		wantStorage(t, "no class at all, which a claim tells", said, state, preflight.Problem, "default StorageClass, and it has none")
		said, state = queueCheck(t, s.Cluster, ephemeral)
		wantStorage(t, "ephemeral", said, state, preflight.Warning, "two of its three pods", "are lost", "stage.queue.storage=persistent")
		said, state = queueCheck(t, s.Cluster, edge)
		wantStorage(t, "ephemeral in edge", said, state, preflight.Warning, "when the engine's pod is replaced, by a deploy that changes it too")
		for name, c := range map[string]*cluster.Cluster{"admin": s.Cluster, "namespaced": namespaced} {
			if q := settled(c, auto); q.Persistent() || q.Chosen != "the cluster has no default StorageClass" {
				t.Errorf("%s: auto with no class: %+v", name, q)
			}
		}
		if q := settled(powerless, auto); q.Persistent() || !strings.Contains(q.Chosen, "may not find out") {
			t.Errorf("auto for who may see nothing: %+v", q)
		}

		byHand := storageClass(t, s, "hand", "kubernetes.io/no-provisioner", false)
		persistent.Settings.Queue.StorageClass = byHand
		said, state = queueCheck(t, s.Cluster, persistent)
		wantStorage(t, "volumes made by hand", said, state, preflight.Problem, byHand, "claims 3 of 10Gi, and 0 are free")
		persistent.Settings.Queue.StorageClass = "nonesuch"
		said, state = queueCheck(t, s.Cluster, persistent)
		wantStorage(t, "a class that is not there", said, state, preflight.Problem, `no StorageClass "nonesuch"`, byHand)
		said, state = queueCheck(t, namespaced, persistent)
		wantStorage(t, "a class that may not be seen", said, state, preflight.Unknown, "assumed to be there")
		persistent.Settings.Queue.StorageClass = ""

		standard := storageClass(t, s, "standard", "example.com/disks", true)
		for name, c := range map[string]*cluster.Cluster{"admin": s.Cluster, "namespaced": namespaced} {
			if q := settled(c, auto); !q.Persistent() || !strings.Contains(q.Chosen, standard) {
				t.Errorf("%s: auto with a default: %+v", name, q)
			}
			said, state = queueCheck(t, c, persistent)
			wantStorage(t, name+": with a default", said, state, preflight.OK, "3 volumes of 10Gi of StorageClass "+standard)
		}
		classThatBindsNothing(t, s, namespaced, persistent, standard)
		persistent.Settings.Profile = render.ProfileEdge
		said, state = queueCheck(t, s.Cluster, persistent)
		wantStorage(t, "in edge", said, state, preflight.OK, "a volume of 10Gi of StorageClass "+standard)
		persistent.Settings.Profile = render.ProfileHA

		quotaOfClaims(t, s, persistent)
		claimsOfOthers(t, s, persistent)
		whatCannotChange(t, s, persistent, auto)
	})
}

// classThatBindsNothing: a claim of the class waits in vain, and its provisioner
// said why; then its volumes are for nodes that are not there.
func classThatBindsNothing(t *testing.T, s *launchtest.Space, namespaced *cluster.Cluster, in render.Input, class string) {
	t.Helper()
	claims := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace)
	claim, err := claims.Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "in-vain"}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	said, state := queueCheck(t, s.Cluster, in)
	wantStorage(t, "a claim that waits since a moment", said, state, preflight.OK)
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "in-vain.1"}, Type: corev1.EventTypeWarning, Reason: "ProvisioningFailed", Message: "the storage pool is offline", LastTimestamp: metav1.Now(),
		InvolvedObject: corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: s.Namespace, Name: claim.Name, UID: claim.UID, APIVersion: "v1"},
	}
	if _, err := s.Admin.CoreV1().Events(s.Namespace).Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*cluster.Cluster{"admin": s.Cluster, "namespaced": namespaced} {
		said, state := queueCheck(t, c, in)
		wantStorage(t, name+": a class whose provisioner fails", said, state, preflight.Problem,
			"StorageClass "+class+" makes no volumes", "in-vain", "the storage pool is offline", "the class's provisioner", "stage.queue.storage=ephemeral")
	}
	claim.Status.Phase = corev1.ClaimBound
	if claim, err = claims.UpdateStatus(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	said, state = queueCheck(t, s.Cluster, in)
	wantStorage(t, "a class of which a claim has its volume", said, state, preflight.OK)
	claim.Finalizers = nil // nobody here ends its protection
	if _, err := claims.Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := claims.Delete(t.Context(), claim.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	zone := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace + "-zone"}, Provisioner: "example.com/disks", AllowedTopologies: []corev1.TopologySelectorTerm{
		{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: []string{"nowhere"}}}},
	}}
	if _, err := s.Admin.StorageV1().StorageClasses().Create(t.Context(), zone, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Admin.StorageV1().StorageClasses().Delete(context.WithoutCancel(t.Context()), zone.Name, metav1.DeleteOptions{})
	})
	in.Settings.Queue.StorageClass = zone.Name
	said, state = queueCheck(t, s.Cluster, in)
	wantStorage(t, "a class of another zone", said, state, preflight.Problem, zone.Name+" makes no volumes", "topology.kubernetes.io/zone in nowhere")
}

func quotaOfClaims(t *testing.T, s *launchtest.Space, in render.Input) {
	t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "disks"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		"requests.storage": resource.MustParse("20Gi"), "persistentvolumeclaims": resource.MustParse("2"),
	}}}
	if _, err := s.Admin.CoreV1().ResourceQuotas(s.Namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	said := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "quota")
	for _, want := range []string{"20Gi of requests.storage and 30Gi more", "2 of persistentvolumeclaims and 3 more"} {
		if !strings.Contains(said, want) {
			t.Errorf("a quota of disks: %q does not say %q", said, want)
		}
	}
	if err := s.Admin.CoreV1().ResourceQuotas(s.Namespace).Delete(t.Context(), quota.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func claimsOfOthers(t *testing.T, s *launchtest.Space, in render.Input) {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-queue-1", Labels: map[string]string{render.LabelLaunch: "another"}}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	if _, err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	said, state := queueCheck(t, s.Cluster, in)
	wantStorage(t, "another launch's claim", said, state, preflight.Problem, "not this launch's: data-queue-1", "delete pvc data-queue-1")
	claim, err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).Get(t.Context(), claim.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claim.Finalizers = nil // nobody here ends its protection
	if _, err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).Delete(t.Context(), claim.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// whatCannotChange deploys, and asks for what Kubernetes refuses.
func whatCannotChange(t *testing.T, s *launchtest.Space, in, auto render.Input) {
	t.Helper()
	s.MustDeploy(t, in)
	said, state := queueCheck(t, s.Cluster, in)
	wantStorage(t, "as it is", said, state, preflight.OK)
	for what, change := range map[string]func(*render.Queue){
		"stage.queue.storage":       func(q *render.Queue) { q.Storage = config.StorageEphemeral },
		"stage.queue.storage_class": func(q *render.Queue) { q.StorageClass = "other" },
		"stage.queue.size":          func(q *render.Queue) { q.Size = "20Gi" },
	} {
		other := in
		change(&other.Settings.Queue)
		said, state := queueCheck(t, s.Cluster, other)
		wantStorage(t, what, said, state, preflight.Problem, what+" is", "cannot change it", "configure "+what+"=", "leaves it as it is", "run empty first", "delete pvc")
	}
	for _, class := range []string{"one", "two"} { // a default that comes later changes nothing
		storageClass(t, s, class, "example.com/disks", true)
	}
	if q, err := preflight.SettleQueue(t.Context(), s.Cluster, withNamespace(auto, s)); err != nil || !q.Persistent() || q.Chosen != "it is so already" {
		t.Errorf("auto of a queue that is there: %+v, %v", q, err)
	}
	off, edge := in, in
	off.Settings.Queue, edge.Settings.Profile = render.Queue{}, render.ProfileEdge
	said, state = queueCheck(t, s.Cluster, off)
	wantStorage(t, "off", said, state, preflight.Warning, "stage.queue=off takes the queue away", "do not run", "volumes stay", "run empty first")
	if checks := launchtest.Preflight(t, s.Cluster, edge); !slices.ContainsFunc(checks, func(c preflight.Check) bool {
		return c.State == preflight.Warning && strings.Contains(c.Message, "stage.profile=edge takes the queue's own pods away")
	}) {
		t.Errorf("from ha to edge: %+v", checks)
	}
}

func withNamespace(in render.Input, s *launchtest.Space) render.Input {
	in.Settings.Namespace = s.Namespace
	return in
}

// Five system pods are counted, and the queue's are advised by their own key.
func TestPreflightCountsTheQueuesPods(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourcePods: resource.MustParse("7"), corev1.ResourceLimitsCPU: resource.MustParse("10"),
		}}}
		if _, err := s.Admin.CoreV1().ResourceQuotas(s.Namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		said := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StorageEphemeral)), "quota")
		for _, want := range []string{"leaves 7 of pods and 8 more", "stage.resources.queue.cpu_limit="} {
			if !strings.Contains(said, want) {
				t.Errorf("%q does not say %q", said, want)
			}
		}
	})
}
