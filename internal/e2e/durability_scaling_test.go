//go:build durability

package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/deploy/examples/image"
	"github.com/constellation-serving/constellation/deploy/examples/python"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/stack"
)

// TestDurabilityEdge counts the pods of a satellite in edge, and what it takes of
// memory while nobody calls. That ha has five is in TestDurable.
func TestDurabilityEdge(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deployEdge}, {"idle", (*durable).idle}})
}

func (d *durable) deployEdge(t *testing.T) {
	var err error
	if d.hello, err = d.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Edge", nil, []string{"stage.profile=edge"}, stack.Route{Vanity: "demo/hello", Algorithm: d.hello, Replicas: 1})
	d.callUntil(t, d.key, "demo/hello?output=void", "text/plain", "Neo", 200, `"async":"void"`)
}

func (d *durable) idle(t *testing.T) {
	if engines, algorithms, all := len(d.pods(t, engineName)), len(d.pods(t, "algo-")), len(d.pods(t, "")); engines != 1 || algorithms != 1 || all != 2 {
		t.Errorf("%d pods, %d engines and %d algorithms; want one system pod", all, engines, algorithms)
	}
	d.until(t, "the call has ended", time.Minute, func() bool { s := d.queueStatus(t); return s.Waiting+s.Running == 0 })
	most := 0.0
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		most = max(most, d.resident(t, "algo-", engineName))
	}
	t.Logf("engine, queue and the algorithm take %.0f MB at most in a minute without a call", most)
	if most >= 100 {
		t.Errorf("%.0f MB, want less than 100", most)
	}
}

// resident returns what the processes in the satellite's pods have in memory, in
// MB, pause included.
func (d *durable) resident(t *testing.T, prefixes ...string) (mb float64) {
	t.Helper()
	var pods []string
	for _, prefix := range prefixes {
		for _, pod := range d.pods(t, prefix) {
			pods = append(pods, string(pod.UID))
		}
	}
	statuses, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range statuses {
		group, err := os.ReadFile(name)
		if err != nil || !has(string(group), pods) {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "status"))
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		if fields := strings.Fields(rest); len(fields) > 0 {
			kib, _ := strconv.ParseFloat(fields[0], 64)
			mb += kib * 1024 / 1e6
			found++
		}
	}
	if found < 2 {
		t.Fatalf("%d processes are found in the pods %v", found, pods)
	}
	return mb
}

func has(text string, any []string) bool {
	for _, one := range any {
		if strings.Contains(text, one) {
			return true
		}
	}
	return false
}

// TestDurabilityFromZero calls a model that takes long to load and has no replica.
func TestDurabilityFromZero(t *testing.T) {
	d := durability(t)
	d.take(t, []durableStep{{"deploy", (*durable).deployModel}, {"fifty calls at once", (*durable).fifty}})
}

// loads is how long the model takes to load.
const loads = 40 * time.Second

// model is the Python sample, loading slowly.
func model() (fs.FS, error) {
	files := fstest.MapFS{}
	for _, name := range []string{image.DescriptionFile, "algorithmia-pipe", "algorithm.py"} {
		data, err := python.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[name] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	files["algorithmia-pipe"].Mode = 0o755
	files["algorithm.py"].Data = append(files["algorithm.py"].Data, fmt.Sprintf("\n\ntime.sleep(%g)\n", loads.Seconds())...)
	return files, nil
}

func (d *durable) deployModel(t *testing.T) {
	files, err := model()
	if err != nil {
		t.Fatal(err)
	}
	built, err := image.FromDebian(t.Context(), files, map[string]string{"org.opencontainers.image.revision": stack.HashA})
	if err != nil {
		t.Fatal(err)
	}
	reference := fmt.Sprintf("%s/neo/model:%s", d.Mothership.Host, stack.HashA)
	if _, err := image.Push(t.Context(), built, image.Target{Reference: reference, Insecure: true, Username: stack.AdminUsername, Password: d.AdminKey}); err != nil {
		t.Fatal(err)
	}
	d.deployNew(t, "Zero", nil, []string{"stage.resources.demo/model.memory=192Mi"},
		stack.Route{Vanity: "demo/model", Algorithm: "neo/model/" + stack.HashA, Least: new(0), Most: 1})
}

func (d *durable) fifty(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	begun := time.Now()
	var mu sync.Mutex
	var first time.Time
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			d.call(t, d.key, "demo/model", "text/plain", fmt.Sprint("call ", i), 200, fmt.Sprintf("Hello call %d", i))
			mu.Lock()
			defer mu.Unlock()
			if first.IsZero() {
				first = time.Now()
			}
		})
	}
	ready := d.readyAt(ctx, "demo/model")
	calls.Wait()
	t.Logf("the pod was ready after %.1f s, the first of 50 calls was answered %.2f s later, the last after %.1f s in all",
		ready.Sub(begun).Seconds(), first.Sub(ready).Seconds(), time.Since(begun).Seconds())
	if ready.IsZero() || first.Sub(ready) > time.Second {
		t.Errorf("the first answer came %v after the pod was ready, want a second at most", first.Sub(ready))
	}
}

// deploymentOf returns an algorithm's Deployment; nil when it cannot be read.
func (d *durable) deploymentOf(ctx context.Context, vanity string) *appsv1.Deployment {
	list, err := d.kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		if list.Items[i].Annotations[render.AnnotationVanityURL] == vanity {
			return &list.Items[i]
		}
	}
	return nil
}

// readyAt waits until an algorithm has a pod that is ready and returns when that was.
func (d *durable) readyAt(ctx context.Context, vanity string) time.Time {
	for ctx.Err() == nil {
		if found := d.deploymentOf(ctx, vanity); found != nil && found.Status.ReadyReplicas > 0 {
			return time.Now()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return time.Time{}
}
