//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/host"
)

// volumesFollowTheirClaims starts a pod of an ordinary user with a volume of
// the default class, finds what is put on it in the next pod, and nothing of it
// once the claim is gone.
func volumesFollowTheirClaims(ctx context.Context, t *testing.T, client kubernetes.Interface, info host.Info, image string) {
	t.Helper()
	one, user, grace, yes, no := int32(1), int64(65532), int64(1), true, false
	keeper := map[string]string{"app": "keeper"}
	set := &apps.StatefulSet{ObjectMeta: meta.ObjectMeta{Name: "keeper"}, Spec: apps.StatefulSetSpec{
		Replicas: &one, Selector: &meta.LabelSelector{MatchLabels: keeper}, ServiceName: "keeper",
		VolumeClaimTemplates: []core.PersistentVolumeClaim{{ObjectMeta: meta.ObjectMeta{Name: "data"}, Spec: core.PersistentVolumeClaimSpec{
			AccessModes: []core.PersistentVolumeAccessMode{core.ReadWriteOnce},
			Resources:   core.VolumeResourceRequirements{Requests: core.ResourceList{core.ResourceStorage: resource.MustParse("1Gi")}},
		}}},
		Template: core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: keeper}, Spec: core.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			SecurityContext:               &core.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault}},
			ImagePullSecrets:              []core.LocalObjectReference{{Name: "pull"}},
			Containers: []core.Container{{
				Name: "hello", Image: image, VolumeMounts: []core.VolumeMount{{Name: "data", MountPath: "/data"}},
				SecurityContext: &core.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}}},
			}},
		}},
	}}
	if _, err := client.AppsV1().StatefulSets("app").Create(ctx, set, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	call := func(path, want string) error {
		pod, err := client.CoreV1().Pods("app").Get(ctx, "keeper-0", meta.GetOptions{})
		if err != nil {
			return err
		}
		if pod.Status.PodIP == "" || pod.DeletionTimestamp != nil {
			return fmt.Errorf("keeper-0 is %s", pod.Status.Phase)
		}
		return expect(ctx, "http://"+pod.Status.PodIP+":8080/app/"+path, http.StatusOK, want)
	}
	eventually(ctx, t, func() error { return call("store?file=/data/kept", "stored 5") })
	claim, err := client.CoreV1().PersistentVolumeClaims("app").Get(ctx, "data-keeper-0", meta.GetOptions{})
	if err != nil || claim.Status.Phase != core.ClaimBound {
		t.Fatalf("the claim is %s, %v", claim.Status.Phase, err)
	}
	folder := filepath.Join(filepath.Dir(info.Kubeconfig), "volumes", claim.Spec.VolumeName)
	if data, err := os.ReadFile(filepath.Join(folder, "kept")); err != nil || string(data) != "12345" {
		t.Errorf("on the cluster's disk is %q, %v", data, err)
	}
	if err := client.CoreV1().Pods("app").Delete(ctx, "keeper-0", meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, func() error { return call("load?file=/data/kept", "12345") })
	foreground := meta.DeletePropagationForeground
	err = errors.Join(client.AppsV1().StatefulSets("app").Delete(ctx, "keeper", meta.DeleteOptions{PropagationPolicy: &foreground}),
		client.CoreV1().PersistentVolumeClaims("app").Delete(ctx, "data-keeper-0", meta.DeleteOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, func() error {
		if _, err := client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, meta.GetOptions{}); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("the volume is still there"), err)
		}
		if left, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(left) > 0 {
			return fmt.Errorf("on the cluster's disk is %s, %w", strings.TrimSpace(fmt.Sprint(left)), err)
		}
		return nil
	})
}
