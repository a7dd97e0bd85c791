// Package storage gives a cluster of one node a default StorageClass: a volume
// is a folder of the node's own disk, made when a pod that claims it is placed
// and removed with its claim. What is asked for is noted and not enforced: a
// folder takes what the disk has.
//
// The package knows no component of the cluster but its API server.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/controller"
)

// Class is the cluster's default StorageClass, and Provisioner who makes its
// volumes.
const (
	Class       = "local"
	Provisioner = "constellation.devcluster/local"
)

// The annotations by which Kubernetes and a provisioner agree.
const (
	defaultAnnotation     = "storageclass.kubernetes.io/is-default-class"
	selectedAnnotation    = "volume.kubernetes.io/selected-node"
	provisionedAnnotation = "pv.kubernetes.io/provisioned-by"
	hostLabel             = "kubernetes.io/hostname"
)

// again is how long after trouble it is tried again.
const again = time.Second

// Disk is where volumes are made.
type Disk struct {
	Dir  string // as the kubelet sees it
	Node string // the node's name
}

// Watch makes and removes volumes until ctx ends. Trouble with one is said on
// log and tried again.
func Watch(ctx context.Context, client kubernetes.Interface, disk Disk, log io.Writer) error {
	if err := os.MkdirAll(disk.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of volumes: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	return controller.Run(ctx, controller.Controller{
		Name: "storage", Retry: again, Log: log,
		Prepare: func(ctx context.Context) error { return createClass(ctx, client) },
		Update:  func(ctx context.Context) error { return update(ctx, client, factory, disk) },
	}, factory, factory.Core().V1().PersistentVolumeClaims().Informer(), factory.Core().V1().PersistentVolumes().Informer())
}

// createClass makes the class. Its volumes are bound when a pod is placed, as
// those of most clusters are.
func createClass(ctx context.Context, client kubernetes.Interface) error {
	late, remove := storage.VolumeBindingWaitForFirstConsumer, core.PersistentVolumeReclaimDelete
	class := &storage.StorageClass{
		ObjectMeta:  meta.ObjectMeta{Name: Class, Annotations: map[string]string{defaultAnnotation: "true"}},
		Provisioner: Provisioner, VolumeBindingMode: &late, ReclaimPolicy: &remove,
	}
	_, err := client.StorageV1().StorageClasses().Create(ctx, class, meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create storage class %s: %w", Class, err)
	}
	return nil
}

func update(ctx context.Context, client kubernetes.Interface, factory informers.SharedInformerFactory, disk Disk) error {
	claims, err := factory.Core().V1().PersistentVolumeClaims().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list volume claims: %w", err)
	}
	volumes, err := factory.Core().V1().PersistentVolumes().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	var errs []error
	for _, claim := range claims {
		if wanted(claim, disk) {
			errs = append(errs, provide(ctx, client, disk, claim))
		}
	}
	for _, volume := range volumes {
		if released(volume) {
			errs = append(errs, remove(ctx, client, disk, volume))
		}
	}
	return errors.Join(errs...)
}

// wanted reports whether a claim is ours to make a volume for, and a pod with
// it is placed.
func wanted(claim *core.PersistentVolumeClaim, disk Disk) bool {
	return claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName == Class && claim.Spec.VolumeName == "" &&
		claim.DeletionTimestamp == nil && claim.Annotations[selectedAnnotation] == disk.Node
}

// released reports whether a volume is ours, and its claim is gone.
func released(volume *core.PersistentVolume) bool {
	return volume.Annotations[provisionedAnnotation] == Provisioner && volume.Status.Phase == core.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == core.PersistentVolumeReclaimDelete && volume.DeletionTimestamp == nil
}

// provide makes a claim's folder and its volume, by a name that is the claim's
// for ever, so that doing it twice is safe.
func provide(ctx context.Context, client kubernetes.Interface, disk Disk, claim *core.PersistentVolumeClaim) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(disk.Dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	if err := os.Chmod(path, 0o777); err != nil { // for pods of any user, as empty volumes are
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedAnnotation: Provisioner}},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			StorageClassName:              Class,
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			ClaimRef:                      &core.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: hostLabel, Operator: core.NodeSelectorOpIn, Values: []string{disk.Node}}},
			}}}},
		},
	}
	_, err := client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create volume %s for %s/%s: %w", name, claim.Namespace, claim.Name, err)
	}
	return nil
}

// ours is the form of our volumes' names, and so of the folders that may be
// removed.
var ours = regexp.MustCompile(`^pvc-[0-9a-f-]{36}$`)

// remove removes a volume's folder and then the volume, which says that there
// is one. The path is ours and not the object's, which anybody may have made.
func remove(ctx context.Context, client kubernetes.Interface, disk Disk, volume *core.PersistentVolume) error {
	if !ours.MatchString(volume.Name) {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(disk.Dir, volume.Name)); err != nil {
		return fmt.Errorf("remove volume %s: %w", volume.Name, err)
	}
	uid := volume.UID
	err := client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{Preconditions: &meta.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	return nil
}
