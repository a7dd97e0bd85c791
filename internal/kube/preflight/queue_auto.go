package preflight

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/storage"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// SettleQueue decides what the storage of a queue is that the operator left
// open: what it is already, else persistent where the cluster has a default
// StorageClass. Chosen says why. It changes nothing.
func SettleQueue(ctx context.Context, c *cluster.Cluster, in render.Input) (render.Queue, error) {
	q := in.Settings.Queue
	if !q.On || q.Storage != "" {
		return q, nil
	}
	if q.StorageClass != "" {
		q.Storage, q.Chosen = config.StoragePersistent, "stage.queue.storage_class names a class"
		return q, nil
	}
	live, err := readQueue(ctx, c, in.Plan.Launch.ID)
	if err != nil && !apierrors.IsForbidden(err) {
		return q, err
	}
	if storage := live.storage(in.Settings.Profile); storage != "" {
		q.Storage, q.Chosen = storage, "it is so already"
		return q, nil
	}
	name, err := defaultStorageClass(ctx, c)
	switch {
	case err != nil && !apierrors.IsForbidden(err):
		return q, err
	case err != nil:
		q.Storage, q.Chosen = config.StorageEphemeral, "this account may not find out whether the cluster has a default StorageClass"
	case name == "":
		q.Storage, q.Chosen = config.StorageEphemeral, "the cluster has no default StorageClass"
	default:
		q.Storage, q.Chosen = config.StoragePersistent, "the cluster's default StorageClass is "+name
	}
	return q, nil
}

// defaultStorageClass returns the name of the cluster's default StorageClass, ""
// when it has none. An account that may not list classes finds it by a claim
// that is tried without effect: admission fills it in.
func defaultStorageClass(ctx context.Context, c *cluster.Cluster) (string, error) {
	list, err := c.Typed.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err == nil {
		if class := storage.Default(list.Items); class != nil {
			return class.Name, nil
		}
		return "", nil
	}
	if !apierrors.IsForbidden(err) {
		return "", fmt.Errorf("list storage classes: %w", err)
	}
	tried := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{GenerateName: render.QueueName + "-"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: leastClaim}},
		},
	}
	filled, tryErr := c.Typed.CoreV1().PersistentVolumeClaims(c.Namespace).Create(ctx, tried, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case tryErr != nil: // forbidden, out of quota, or no namespace yet
		return "", err
	case filled.Spec.StorageClassName == nil:
		return "", nil
	}
	return *filled.Spec.StorageClassName, nil
}

// liveQueue is what a launch has of a queue on the cluster.
type liveQueue struct {
	set    *unstructured.Unstructured // the nodes'; nil for none
	engine *unstructured.Unstructured // that runs a queue itself; nil for none
}

// readQueue finds the launch's own.
func readQueue(ctx context.Context, c *cluster.Cluster, launchID string) (q liveQueue, err error) {
	ours := func(kind, name string) (*unstructured.Unstructured, error) {
		o, err := c.Get(ctx, "apps/v1", kind, name)
		if err != nil || o == nil || o.GetLabels()[render.LabelLaunch] != launchID {
			return nil, err
		}
		return o, nil
	}
	if q.set, err = ours("StatefulSet", render.QueueName); err != nil {
		return q, err
	}
	engine, err := ours("Deployment", render.EngineName)
	if engine != nil && render.QueueVolume(engine) != nil {
		q.engine = engine
	}
	return q, err
}

// QueueNote returns what a launch's queue on the cluster can lose; "" when there
// is none, when it outlives its pods, or when it may not be looked at.
func QueueNote(ctx context.Context, c *cluster.Cluster, launchID string) (string, error) {
	live, err := readQueue(ctx, c, launchID)
	switch {
	case apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", err
	case live.set != nil && !render.QueueClaimed(live.set):
		return EphemeralQueue(render.ProfileHA), nil
	case live.set == nil && live.engine != nil && !render.QueueClaimed(live.engine):
		return EphemeralQueue(render.ProfileEdge), nil
	}
	return "", nil
}

// storage is that of the queue as a profile has it; "" when there is none.
func (q liveQueue) storage(profile string) string {
	owner := q.set
	if profile == render.ProfileEdge {
		owner = q.engine
	}
	switch {
	case owner == nil:
		return ""
	case render.QueueClaimed(owner):
		return config.StoragePersistent
	}
	return config.StorageEphemeral
}
