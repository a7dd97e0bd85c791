package storage

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOverdue(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	late := storagev1.VolumeBindingWaitForFirstConsumer
	atOnce, waits := &storagev1.StorageClass{}, &storagev1.StorageClass{VolumeBindingMode: &late}
	for _, test := range []struct {
		name  string
		class *storagev1.StorageClass
		age   time.Duration
		node  string
		want  bool
	}{
		{"young", atOnce, time.Minute, "", false},
		{"old", atOnce, time.Hour, "", true},
		{"no pod wants it yet", waits, time.Hour, "", false},
		{"its pod has a node", waits, time.Hour, "node-1", true},
		{"its pod has just got one", waits, time.Minute, "node-1", false},
	} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-test.age))}}
		if test.node != "" {
			claim.Annotations = map[string]string{selectedNode: test.node}
		}
		if got := overdue(claim, test.class, now); got != test.want {
			t.Errorf("%s: overdue = %v, want %v", test.name, got, test.want)
		}
	}
}
