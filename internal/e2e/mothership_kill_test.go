package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/stack"
)

// replicasFor is how long servers are killed: by CONSTELLATION_REPLICAS_FOR, else each
// once.
const replicasFor = "CONSTELLATION_REPLICAS_FOR"

func longRun() bool { return os.Getenv(replicasFor) != "" }

// seed fills the empty database with launches that are to report: ten thousand in a
// long run.
func (p *production) seed(t *testing.T) {
	launches := 1000
	if longRun() {
		launches = 10_000
	}
	tokens := filepath.Join(p.Dir, "tokens")
	_, err := stack.Command{
		Args: []string{filepath.Join(p.Bin, "mothership"), "seed", "--satellites", strconv.Itoa(launches / 3), "--launches", strconv.Itoa(launches), "--tokens", tokens},
		Env:  p.environment(t), Progress: p.Out,
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// fleet are the launches that were seeded.
func (p *production) fleet(t *testing.T) (launches []loadtest.Launch) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.Dir, "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 3 {
			launches = append(launches, loadtest.Launch{SatelliteID: words[0], ID: words[1], Token: words[2]})
		}
	}
	return launches
}

// killed kills each server in turn under load, by SIGKILL, and then rolls all of them
// to the next version: no acknowledged write or image is lost, no launch is taken for
// silent, and a read that fails works a second later.
func (p *production) killed(t *testing.T) {
	pause, until := 5*time.Second, time.Now()
	length := soakFor(t, replicasFor, 0)
	next := p.pushMothership(t, nextProgram(t, filepath.Join(p.Bin, "mothership")), "next")
	if longRun() {
		p.compare(t)
		pause, until = 20*time.Second, time.Now().Add(length)
	}
	l := &loadtest.Load{
		Written:  loadtest.NewWritten(loadtest.Client{URL: p.Cluster.IngressURL, Key: p.AdminKey, Username: stack.AdminUsername}),
		Launches: p.fleet(t), Interval: p.interval, Password: p.AdminPassword, Stale: p.stale,
	}
	l.Begin(t)
	kills := 0
	for kills < servers || time.Now().Before(until) {
		l.Work(t, pause)
		p.killOne(t, kills)
		kills++
	}
	p.allReady(t, "")
	l.Work(t, pause)
	l.Work(t, time.Second)
	p.helm(t, "upgrade", "--set", "image.digest="+next, "--wait", "--timeout", "5m")
	p.allReady(t, next)
	l.Work(t, pause)
	l.End()
	t.Logf("%d kills, then the next version; %s", kills, l.Verify(t))
	p.reports(t)
	p.callUntil(t, p.key, "demo/hello", "text/plain", "Neo", 200, `"Hello Neo"`)
}

// stale returns the satellites that have a launch which is taken for silent.
func (p *production) stale(ctx context.Context) ([]string, error) {
	var page apiv1.List[apiv1.Satellite]
	c := loadtest.Client{URL: p.Cluster.IngressURL, Key: p.AdminKey}
	_, err := c.Call(ctx, "GET", "/v1/satellites?sort=-stale&limit=20", "", &page)
	var names []string
	for _, s := range page.Results {
		if s.Launches.Stale > 0 {
			names = append(names, s.Name)
		}
	}
	return names, err
}

// serverPods are the servers' pods that are not on their way out.
func (p *production) serverPods(ctx context.Context) (pods []corev1.Pod, err error) {
	list, err := p.kube.CoreV1().Pods(mothershipNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=mothership"})
	if err != nil {
		return nil, err
	}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// killOne kills the process of one of the servers at once, and has its pod replaced: a
// container that is started again and again waits longer each time.
func (p *production) killOne(t *testing.T, n int) {
	t.Helper()
	pods, err := p.serverPods(t.Context())
	if err != nil || len(pods) == 0 {
		t.Errorf("there is no server to kill: %v", err)
		return
	}
	pod := pods[n%len(pods)]
	found, err := processes(filepath.Join(p.Dir, "cluster"), "mothership\x00serve\x00")
	if err != nil {
		t.Error(err)
	}
	for _, pid := range found {
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		uid := string(pod.UID)
		if err == nil && (bytes.Contains(groups, []byte(uid)) || bytes.Contains(groups, []byte(strings.ReplaceAll(uid, "-", "_")))) {
			err = syscall.Kill(pid, syscall.SIGKILL)
			t.Logf("killed %s, process %d: %v", pod.Name, pid, err)
		}
	}
	now := int64(0)
	if err := p.kube.CoreV1().Pods(mothershipNamespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Errorf("delete %s: %v", pod.Name, err)
	}
}

// allReady waits until all servers are ready, with an image of a digest unless it is "".
func (p *production) allReady(t *testing.T, digest string) {
	t.Helper()
	p.wait(t, "all servers are ready", func(ctx context.Context) (bool, error) {
		pods, err := p.serverPods(ctx)
		ready := 0
		for _, pod := range pods {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && strings.Contains(pod.Spec.Containers[0].Image, digest) {
					ready++
				}
			}
		}
		return ready == servers && len(pods) == servers, err
	})
}

// compare measures reads of a satellite at one server and at all of them, in one run.
func (p *production) compare(t *testing.T) {
	t.Helper()
	pods, err := p.serverPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const readers = 15
	for range 2 {
		for _, n := range []int{1, servers} {
			rates := make([]float64, n)
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() {
					c := loadtest.Client{URL: "http://" + pods[i].Status.PodIP + ":8080", Key: p.AdminKey}
					rates[i] = c.Reads(t.Context(), "/v1/satellites/"+p.satelliteID, readers/n, 10*time.Second)
				})
			}
			all.Wait()
			sum := 0.0
			for _, rate := range rates {
				sum += rate
			}
			each, _ := json.Marshal(rates)
			t.Logf("%d servers: %.0f reads of a satellite a second, %d at once (%s)", n, sum, readers, each)
		}
	}
}
