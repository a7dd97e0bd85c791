package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/stack"
)

// nothingToDo is a deploy with nothing to change: no write to the API server,
// and done in two seconds.
func (j *journey) nothingToDo(t *testing.T) {
	proxy := kubetest.NewProxy(t, j.Cluster.Kubeconfig)
	j.operate(t, "configure", "stage.kubernetes.kubeconfig_path="+proxy.Kubeconfig)
	var least time.Duration
	for range 3 {
		proxy.Away(nil)
		began := time.Now()
		j.operate(t, "deploy")
		if took := time.Since(began); least == 0 || took < least {
			least = took
		}
		if writes := proxy.Writes(); len(writes) > 0 {
			t.Errorf("a deploy with nothing to change wrote:\n%s", strings.Join(writes, "\n"))
		}
	}
	t.Logf("a deploy with nothing to change took %s", least)
	if least > 2*time.Second {
		t.Errorf("a deploy with nothing to change took %s, want 2s at most", least)
	}
	j.operate(t, "configure", "stage.kubernetes.kubeconfig_path="+j.Cluster.Kubeconfig)
	if out := j.operate(t, "diff"); !strings.Contains(out, "no changes") {
		t.Errorf("diff after a deploy: %s", out)
	}
}

// brokenImage is a version whose new image the nodes cannot pull: the deploy
// ends early with the reason, and the version before serves on.
func (j *journey) brokenImage(t *testing.T) {
	shoutB, err := j.PushExample(t.Context(), "shout", "neo", stack.HashB)
	if err != nil {
		t.Fatal(err)
	}
	j.version(t, 3, stack.Route{Vanity: "demo/hello", Algorithm: j.helloB, Replicas: 1}, stack.Route{Vanity: "demo/greet", Algorithm: shoutB, Replicas: 1})
	j.refused(t, 3, "", j.satelliteID, j.launchID, "diff")
	j.operate(t, "configure", "stage.registry.pull_secret=none")
	began, stop := time.Now(), j.hammer(t, "demo/greet")
	j.refused(t, 1, "cannot pull", j.satelliteID, j.launchID, "deploy", "--timeout", "8m")
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("the deploy of an image that cannot be pulled took %s, want it to end early", took)
	}
	j.refused(t, 1, "version 2 keeps serving", j.satelliteID, j.launchID, "deploy", "--timeout", "8m")
	if failed := stop(); failed != "" {
		t.Errorf("a call during the failed deploys: %s", failed)
	}
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"Hello Neo"`)
	if s := j.state(t); s.Installed != 2 || s.Wanted != 3 || s.Running != 2 || s.Healthy() {
		t.Errorf("status after a failed deploy: %+v", s)
	}
	j.operate(t, "configure", "stage.registry.pull_secret=create")
	j.operate(t, "deploy")
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"NEO"`)
}

// version gives the launch a next version and downloads it.
func (j *journey) version(t *testing.T, want int, routes ...stack.Route) {
	t.Helper()
	number, err := j.EditSatellite(t.Context(), j.satelliteID, routes...)
	if err != nil || number != want {
		t.Fatalf("EditSatellite = %d, %v; want version %d", number, err, want)
	}
	if _, _, err := j.Client.UpdateLaunch(t.Context(), j.satelliteID, j.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &number}); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "get", j.AdminKey)
}

func (j *journey) state(t *testing.T) install.StatusResult {
	t.Helper()
	var s install.StatusResult
	if err := json.Unmarshal([]byte(j.operate(t, "status", "-o", "json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// rollback goes two versions back and forward again, under calls.
func (j *journey) rollback(t *testing.T) {
	j.refused(t, 2, "is not kept", j.satelliteID, j.launchID, "rollback", "9")
	stop := j.hammer(t, "demo/hello")
	j.operate(t, "rollback", "1")
	for range 5 {
		j.callNow(t, j.key, "demo/shout", "back", 200, `"BACK"`)
		j.callNow(t, j.key, "demo/greet", "Neo", 404, "not found")
	}
	if s := j.state(t); s.Installed != 1 || s.Running != 1 || s.Downloaded != 3 || !s.Healthy() {
		t.Errorf("status after a rollback: %+v", s)
	}
	j.operate(t, "deploy")
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"NEO"`)
	if failed := stop(); failed != "" {
		t.Errorf("a call during rollback and deploy: %s", failed)
	}
	if out := j.operate(t, "logs", "engine", "--tail", "50"); !strings.Contains(out, "execution-engine-") {
		t.Errorf("logs of the engines: %q", out)
	}
	j.refused(t, 2, "demo/greet", j.satelliteID, j.launchID, "logs", "demo/gret")
}

// apiServerRestarts kills the API server in the middle of a deploy; the dev
// cluster starts it again.
func (j *journey) apiServerRestarts(t *testing.T) {
	j.operate(t, "configure", "stage.replicas.demo/greet=2")
	began := make(chan struct{})
	watched := &lineWatch{Writer: j.Out, line: "changed Deployment/", found: began}
	out := j.Out
	j.Out = watched
	defer func() { j.Out = out }()
	killed := make(chan error, 1)
	go func() {
		<-began
		killed <- killAPIServer(filepath.Join(j.Dir, "cluster"))
	}()
	j.operate(t, "deploy")
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	if s := j.state(t); !s.Healthy() {
		t.Errorf("status: %+v", s)
	}
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"NEO"`)
}

// remove takes the launch off the cluster and leaves the namespace.
func (j *journey) remove(t *testing.T) {
	if out := j.operate(t, "remove", "--dry-run"); !strings.Contains(out, "Deployment/execution-engine") {
		t.Errorf("remove --dry-run: %s", out)
	}
	j.refused(t, 2, "--yes", j.satelliteID, j.launchID, "remove")
	j.operate(t, "remove", "--yes")
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods are left, %v", len(pods.Items), err)
	}
	maps, err := j.kube.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "constellation/launch"})
	if err != nil || len(maps.Items) > 0 {
		t.Errorf("%d ConfigMaps are left, %v", len(maps.Items), err)
	}
	if ns, err := j.kube.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil || ns.Status.Phase != corev1.NamespaceActive {
		t.Errorf("the namespace: %v", err)
	}
	j.refused(t, 1, "not installed", j.satelliteID, j.launchID, "remove", "--yes")
	if _, err := os.Stat(j.launchDir()); err != nil {
		t.Errorf("the launch's folder: %v", err)
	}
}
