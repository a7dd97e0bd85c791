//go:build durability

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/stack"
)

// TestDurabilityFull fills the volumes of the queue's nodes, which have 256 MiB
// each, in three ways.
func TestDurabilityFull(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{
		{"deploy on small volumes", (*durable).deploySmall},
		{"calls fill the queue", (*durable).callsFill},
		{"the volumes are nearly full of something else", (*durable).nearlyFull},
		{"nothing more can be written", (*durable).noSpace},
	})
}

// smallVolume is where a node's volume is, as the cluster's node sees it.
func smallVolume(i int) string { return fmt.Sprint("/run/devcluster/small-", i) }

func (d *durable) deploySmall(t *testing.T) {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &late}
	if _, err := d.kube.StorageV1().StorageClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	nodes, err := d.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("nodes: %v, %v", nodes, err)
	}
	here := &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{nodes.Items[0].Name}}},
	}}}}
	for i := range queueNames {
		d.inside(t, "mkdir", smallVolume(i))
		d.inside(t, "mount", "-t", "tmpfs", "-o", "size=256m,mode=0777", "tmpfs", smallVolume(i))
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("small-", i)}, Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("256Mi")},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName:       "small",
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: smallVolume(i)}},
			NodeAffinity:           here,
		}}
		if _, err := d.kube.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if d.hello, err = d.PushExample(t.Context(), "python", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Full", nil, []string{"stage.queue.storage=persistent", "stage.queue.storage_class=small", "stage.queue.size=256Mi", "stage.resources." + slow + ".memory=192Mi"},
		stack.Route{Vanity: slow, Algorithm: d.hello, Replicas: slowReplicas})
}

// large is a call that takes so many bytes of the queue, and whose result is small.
func (d *durable) large(t *testing.T, n, bytes int, sleep float64) (id, refusal string) {
	t.Helper()
	body := fmt.Sprintf(`{"add":[%d],"sleep":%g,"filler":"%s"}`, n, sleep, strings.Repeat("x", bytes))
	status, answer, err := d.once(t.Context(), "POST", "/v1/algo/"+slow+"?output=void", "application/json", body, "")
	switch {
	case err == nil && status == 200:
		_, id, _ := strings.Cut(answer, `"request_id":"`)
		return id[:strings.IndexByte(id, '"')], ""
	case err == nil && status == 503:
		return "", answer
	}
	t.Fatalf("a call = %d %s, %v", status, answer, err)
	return "", ""
}

// sums checks that each call that was accepted has its result: the number it was made with.
func (d *durable) sums(t *testing.T, ids map[string]int) {
	t.Helper()
	for id, n := range ids {
		if got := d.result(t, id); !strings.Contains(strings.ReplaceAll(got, " ", ""), fmt.Sprintf(`"sum":%d}`, n)) {
			t.Errorf("the result of call %d is %s", n, got)
		}
	}
}

// fill makes large calls until one is refused since there is no room.
func (d *durable) fill(t *testing.T, sleep float64) map[string]int {
	t.Helper()
	ids := map[string]int{}
	begun := time.Now()
	for n := 0; ; n++ {
		id, refusal := d.large(t, n, 200<<10, sleep)
		if id != "" {
			ids[id] = n
		}
		if strings.Contains(refusal, "queue is full") {
			t.Logf("refused after %d calls", len(ids))
			return ids
		}
		if time.Since(begun) > 3*time.Minute {
			t.Fatalf("it is not full after %d calls; the last refusal is %q", len(ids), refusal)
		}
	}
}

// acceptsAgain waits until a call is accepted, which it then adds.
func (d *durable) acceptsAgain(t *testing.T, ids map[string]int) {
	t.Helper()
	begun := time.Now()
	n := len(ids)
	d.until(t, "calls are accepted again", 3*time.Minute, func() bool {
		id, _ := d.large(t, n, 1000, 0)
		if id != "" {
			ids[id] = n
		}
		return id != ""
	})
	t.Logf("accepted again after %.1f s", time.Since(begun).Seconds())
}

func (d *durable) callsFill(t *testing.T) {
	ids := d.fill(t, .3)
	d.acceptsAgain(t, ids)
	d.sums(t, ids)
	d.lost(t, 0)
}

// put writes a file into each node's volume, until so many MiB are free, and
// returns what takes it away.
func (d *durable) put(t *testing.T, leave uint64) (remove func()) {
	t.Helper()
	pid, err := clusterPID(d.clusterDir())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for i := range queueNames {
		name := filepath.Join(fmt.Sprintf("/proc/%d/root", pid), smallVolume(i), "something-else")
		file, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		written := 0
		for block := make([]byte, 1<<20); free(t, name)>>20 > leave; written++ {
			if _, err := file.Write(block); err != nil {
				break
			}
		}
		for err = nil; err == nil && leave == 0; {
			_, err = file.Write([]byte{0})
		}
		_ = file.Close()
		files = append(files, name)
		t.Logf("%d MiB beside %s", written, queueNames[i])
	}
	return func() {
		for _, name := range files {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
}

// free returns what is free of the disk that a file is on.
func free(t *testing.T, name string) uint64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(name, &s); err != nil {
		t.Fatal(err)
	}
	return s.Bavail * uint64(s.Bsize) //nolint:gosec // a block's size
}

// some accepts a few calls that take a while.
func (d *durable) some(t *testing.T, n int, sleep float64) map[string]int {
	t.Helper()
	ids := map[string]int{}
	for len(ids) < n {
		if id, _ := d.large(t, len(ids), 1000, sleep); id != "" {
			ids[id] = len(ids)
		}
	}
	return ids
}

// saysFull checks that queue status gives the disk as the reason.
func (d *durable) saysFull(t *testing.T) {
	t.Helper()
	d.refused(t, 1, "MiB left", d.satelliteID, d.launchID, "queue", "status")
}

func (d *durable) nearlyFull(t *testing.T) {
	ids := d.some(t, 40, .5)
	remove := d.put(t, 25)
	d.until(t, "calls are refused", time.Minute, func() bool {
		id, refusal := d.large(t, len(ids), 1000, 0)
		if id != "" {
			ids[id] = len(ids)
		}
		return strings.Contains(refusal, "queue is full")
	})
	d.saysFull(t)
	d.sums(t, ids) // what was accepted goes on
	remove()
	d.acceptsAgain(t, ids)
	d.sums(t, ids)
	d.lost(t, 0)
}

// noSpace: while calls run, no node can write anything at all.
func (d *durable) noSpace(t *testing.T) {
	ids := d.some(t, 60, .5)
	remove := d.put(t, 0)
	refusals := map[string]int{}
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); {
		id, refusal := d.large(t, len(ids), 1000, 0)
		if id != "" {
			ids[id] = len(ids)
		}
		refusals[refusal]++
	}
	for refusal, n := range refusals {
		t.Logf("%d times %.160q", n, refusal)
	}
	d.saysFull(t)
	remove()
	d.acceptsAgain(t, ids)
	d.sums(t, ids)
	d.nodesReady(t, 3)
	d.lost(t, 0)
}
