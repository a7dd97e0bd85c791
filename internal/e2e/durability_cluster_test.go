//go:build durability

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (d *durable) clusterDir() string { return filepath.Join(d.Dir, "cluster") }

// found returns the satellite's processes whose command lines have all words.
func (d *durable) found(t *testing.T, words ...string) []int {
	t.Helper()
	pids, err := processes(d.clusterDir(), append([]string{"/mothership\x00satellite\x00"}, words...)...)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

const (
	queueProcess  = "satellite\x00queue\x00"
	engineProcess = "satellite\x00engine\x00"
)

func named(node string) string { return "--name\x00" + node + "\x00" }

var queueNames = []string{"queue-0", "queue-1", "queue-2"}

// signal sends processes a signal; none is no success.
func (d *durable) signal(t *testing.T, signal syscall.Signal, pids []int) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("there is no such process")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatalf("%v to process %d: %v", signal, pid, err)
		}
	}
}

// podsReady waits until as many pods are ready.
func (d *durable) podsReady(t *testing.T, prefix string, want int) {
	t.Helper()
	begun := time.Now()
	for {
		ready := 0
		for _, pod := range d.pods(t, prefix) {
			if pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				ready++
			}
		}
		if ready == want {
			return
		}
		if time.Since(begun) > 4*time.Minute {
			t.Fatalf("%d of %d pods of %s are ready after 4 minutes", ready, want, prefix)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// restarted waits until a pod's container was started again since it had restarted
// that often, and its pod is ready.
func (d *durable) restarted(t *testing.T, prefix string, kill func()) {
	t.Helper()
	restarts := func() (n int32) {
		for _, pod := range d.pods(t, prefix) {
			for _, c := range pod.Status.ContainerStatuses {
				n += c.RestartCount
			}
		}
		return n
	}
	before, pods := restarts(), len(d.pods(t, prefix))
	kill()
	begun := time.Now()
	for restarts() == before {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("no container of %s was started again after 2 minutes", prefix)
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.podsReady(t, prefix, pods)
}

func (d *durable) pods(t *testing.T, prefix string) []corev1.Pod {
	t.Helper()
	list, err := d.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !strings.HasPrefix(p.Name, prefix) })
}

// logs returns what the pods whose names begin so have logged.
func (d *durable) logs(t *testing.T, prefix string) string {
	t.Helper()
	var all strings.Builder
	for _, pod := range d.pods(t, prefix) {
		text, err := d.kube.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// volume returns the folder of a node's volume.
func (d *durable) volume(t *testing.T, node string) string {
	t.Helper()
	claim, err := d.kube.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), "data-"+node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(d.clusterDir(), "volumes", claim.Spec.VolumeName)
}

// wipe takes away what nodes have on their disks, and kills them.
func (d *durable) wipe(t *testing.T, nodes ...string) {
	t.Helper()
	var pids []int
	for _, node := range nodes {
		pids = append(pids, d.found(t, queueProcess, named(node))...)
	}
	d.signal(t, syscall.SIGSTOP, pids)
	for _, node := range nodes {
		entries, err := os.ReadDir(d.volume(t, node))
		if err != nil || len(entries) == 0 {
			t.Fatalf("the volume of %s: %d entries, %v", node, len(entries), err)
		}
		for _, entry := range entries {
			if err := os.RemoveAll(filepath.Join(d.volume(t, node), entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.restarted(t, nodes[0], func() { d.signal(t, syscall.SIGKILL, pids) })
}

// inside runs a command in the namespaces of the cluster's node.
func (d *durable) inside(t *testing.T, args ...string) {
	t.Helper()
	pid, err := clusterPID(d.clusterDir())
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{"--target", strconv.Itoa(pid), "--mount", "--net", "--"}, args...)
	if out, err := exec.CommandContext(t.Context(), "nsenter", line...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// cut drops what these nodes say to the others and hear of them, until mend is called.
func (d *durable) cut(t *testing.T, nodes ...string) (mend func()) {
	t.Helper()
	ips := map[string]string{}
	for _, pod := range d.pods(t, "queue-") {
		ips[pod.Name] = pod.Status.PodIP
	}
	d.inside(t, "iptables", "-N", "CUT")
	d.inside(t, "iptables", "-I", "FORWARD", "-j", "CUT")
	for _, node := range nodes {
		for _, other := range queueNames {
			if other != node {
				d.inside(t, "iptables", "-A", "CUT", "-s", ips[node], "-d", ips[other], "-j", "DROP")
				d.inside(t, "iptables", "-A", "CUT", "-s", ips[other], "-d", ips[node], "-j", "DROP")
			}
		}
	}
	return func() {
		d.inside(t, "iptables", "-D", "FORWARD", "-j", "CUT")
		d.inside(t, "iptables", "-F", "CUT")
		d.inside(t, "iptables", "-X", "CUT")
	}
}

// queueLeader returns the node that leads the stream of calls.
func (d *durable) queueLeader(t *testing.T) string {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(200 * time.Millisecond) {
		for _, pod := range d.pods(t, "queue-") {
			if leads, ok := metricAt(t.Context(), pod.Status.PodIP+":8222", `queue_node_leads{stream="work"}`); ok && leads == 1 {
				return pod.Name
			}
		}
	}
	t.Fatal("no node leads")
	return ""
}

// runsOn returns the engine that has a durable call running.
func (d *durable) runsOn(t *testing.T) string {
	t.Helper()
	for _, pod := range d.pods(t, engineName) {
		if n, ok := metric(t.Context(), pod.Status.PodIP, `constellation_engine_durable_calls_in_flight{algorithm="`+slow+`"}`); ok && n > 0 {
			return pod.Name
		}
	}
	t.Fatal("no engine runs the call")
	return ""
}

// enginesOf returns the engine's processes in a pod.
func (d *durable) enginesOf(t *testing.T, pod string) []int {
	t.Helper()
	return slices.DeleteFunc(d.found(t, engineProcess), func(pid int) bool {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/hostname", pid))
		return err != nil || strings.TrimSpace(string(name)) != pod
	})
}

// until waits for a condition.
func (d *durable) until(t *testing.T, what string, within time.Duration, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
