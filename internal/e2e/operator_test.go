package e2e

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/stack"
	"github.com/constellation-serving/constellation/internal/waittest"
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
	stop := j.hammer(t, "demo/greet")
	j.cannotPull(t, "configure stage.registry.pull_secret=create and deploy again", "deploy", "--timeout", "8m")
	j.operate(t, "configure", "stage.registry.pull_secret=existing:absent")
	j.refused(t, 4, "there is no Secret absent", j.satelliteID, j.launchID, "deploy")
	j.cannotPull(t, "there is no Secret absent", "deploy", "--ignore", "pull secret", "--timeout", "8m")
	j.operate(t, "configure", "stage.registry.pull_secret=none")
	j.refused(t, 1, "version 2 keeps serving", j.satelliteID, j.launchID, "deploy", "--timeout", "8m")
	if failed := stop(); failed != "" {
		t.Errorf("a call during the failed deploys: %s", failed)
	}
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"Hello Neo"`)
	if s := j.state(t); s.Installed != 2 || s.Wanted != 3 || s.Running != 2 || s.Healthy() {
		t.Errorf("status after a failed deploy: %+v", s)
	}
	j.refused(t, 1, "parts are not ready", j.satelliteID, j.launchID, "status")
	// A rollback clears what did not get through, and leaves the good version.
	var back install.RollbackResult
	if err := json.Unmarshal([]byte(j.operate(t, "rollback", "-o", "json")), &back); err != nil {
		t.Fatal(err)
	}
	if back.From != 2 || back.To != 2 || back.Direction != apply.Clearing || back.Failed != 3 {
		t.Errorf("rollback after a failed deploy: %+v, want it to stay at version 2 and clear version 3", back)
	}
	if s := j.state(t); s.Installed != 2 || s.Running != 2 || !s.Healthy() {
		t.Errorf("status after the rollback of a failed deploy: %+v", s)
	}
	j.callNow(t, j.key, "demo/greet", "Neo", 200, `"Hello Neo"`)
	j.operate(t, "configure", "stage.registry.pull_secret=create")
	j.operate(t, "deploy")
	j.operate(t, "status")
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
	out, err := j.Operate(t.Context(), j.satelliteID, j.launchID, "status", "-o", "json")
	var failed *stack.CommandError
	if err != nil && (!errors.As(err, &failed) || failed.Code != 1 && failed.Code != 3) {
		t.Fatal(err)
	}
	var s install.StatusResult
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	notReady := s.NotReady()
	if wrong := cmp.Or(notReady, s.Behind()); (wrong == nil) != (failed == nil) || notReady != nil && failed.Code != 1 {
		t.Errorf("status ended with %v, and says %v", err, wrong)
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
}

// toldWithin is how soon an operator hears that an image cannot be pulled.
const toldWithin = 30 * time.Second

// cannotPull runs a deploy of an image that the node cannot pull, and measures
// from the kubelet's own event: what comes before is the machine's speed.
func (j *journey) cannotPull(t *testing.T, want string, args ...string) {
	t.Helper()
	began := time.Now()
	j.refused(t, 1, want, j.satelliteID, j.launchID, args...)
	ended := time.Now()
	events, err := j.kube.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Failed"})
	if err != nil {
		t.Fatal(err)
	}
	first := ended
	for _, e := range events.Items {
		at := e.FirstTimestamp.Time
		if strings.Contains(e.Message, "ailed to pull") && !at.Before(began.Truncate(time.Second)) && at.Before(first) {
			first = at
		}
	}
	if first.Equal(ended) {
		t.Fatalf("no event tells of a pull that failed: %+v", events.Items)
	}
	t.Logf("%v ended %.0f s after the kubelet's first failed pull", args, ended.Sub(first).Seconds())
	if took := ended.Sub(first); took > toldWithin {
		t.Errorf("%v ended %s after the kubelet's first failed pull, want %s at most", args, took, toldWithin)
	}
}

// scaled: what somebody else changed is told by diff, with exit code 3, and
// goes with the next deploy.
func (j *journey) scaled(t *testing.T) {
	deployments := j.kube.AppsV1().Deployments(namespace)
	list, err := deployments.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(list.Items, func(d appsv1.Deployment) bool { return d.Annotations["constellation/vanity-url"] == "demo/hello" })
	if at < 0 {
		t.Fatalf("no Deployment of demo/hello among %d", len(list.Items))
	}
	name := list.Items[at].Name
	scale, err := deployments.GetScale(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := scale.Spec.Replicas
	scale.Spec.Replicas = 0
	if _, err := deployments.UpdateScale(t.Context(), name, scale, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	out, err := j.Operate(t.Context(), j.satelliteID, j.launchID, "diff")
	var failed *stack.CommandError
	if !errors.As(err, &failed) || failed.Code != 3 || !strings.Contains(out, name) || !strings.Contains(out, "spec.replicas") || !strings.Contains(out, "somebody") {
		t.Errorf("diff of a scaled Deployment: %v\n%s\nwant exit code 3, %s, spec.replicas and who did it", err, out, name)
	}
	j.operate(t, "deploy")
	j.callNow(t, j.key, "demo/hello", "Neo", 200, `"Hello Neo"`)
	if scale, err = deployments.GetScale(t.Context(), name, metav1.GetOptions{}); err != nil || scale.Spec.Replicas != before {
		t.Errorf("replicas after a deploy: %+v, %v; want %d", scale, err, before)
	}
	if out := j.operate(t, "diff"); !strings.Contains(out, "no changes") {
		t.Errorf("diff after the deploy: %s", out)
	}
}

// logs are a real kubelet's: of all engines, and followed.
func (j *journey) logs(t *testing.T) {
	out := j.operate(t, "logs", "engine", "--tail", "50")
	for name := range j.engines(t) {
		if !strings.Contains(out, name) {
			t.Errorf("logs of the engines have nothing of %s: %q", name, out)
		}
	}
	j.refused(t, 2, "demo/greet", j.satelliteID, j.launchID, "logs", "demo/gret")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	follow := exec.CommandContext(ctx, filepath.Join(j.Bin, "algo-install"), "satellite", j.satelliteID, j.launchID, "logs", "engine", "-f", "--tail", "1")
	follow.Env = append(os.Environ(), j.OperatorEnv()...)
	follow.Cancel = func() error { return follow.Process.Signal(os.Interrupt) }
	lines, err := follow.StdoutPipe()
	if err == nil {
		err = follow.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop, found := j.hammer(t, "demo/hello"), 0
	for scanner := bufio.NewScanner(lines); found < 5 && scanner.Scan(); {
		if strings.Contains(scanner.Text(), `"algorithm":"demo/hello"`) {
			found++
		}
	}
	cancel()
	_ = follow.Wait() // it was interrupted
	if failed := stop(); failed != "" || found < 5 {
		t.Errorf("logs -f had %d lines of calls made meanwhile, %s; want 5", found, failed)
	}
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
		waittest.Hold(t, began)
		killed <- killAPIServer(filepath.Join(j.Dir, "cluster"))
	}()
	j.operate(t, "deploy")
	if err := waittest.Receive(t, "the API server is killed", killed); err != nil {
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
