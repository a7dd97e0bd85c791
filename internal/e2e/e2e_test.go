// Package e2e takes the product's main job from an empty folder to algorithms
// answering from a real Kubernetes cluster, with an assertion at each step.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const namespace = "satellite-e2e"

// journey is the state that the steps hand on.
type journey struct {
	*stack.Stack
	kube                  *kubernetes.Clientset
	hello, helloB, shout  string
	samples               []stack.Route
	satelliteID, launchID string
	otherID               string // another launch of the satellite
	key, keyID            string
	limitedKey            string // may call demo/shout only
	slowKey               string // may call twice, and then not for a quarter of an hour
	site                  *site
}

func TestMainJob(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"push algorithms", (*journey).push},
		{"create satellite and launch", (*journey).create},
		{"get refuses bad input", (*journey).getRefuses},
		{"get", (*journey).get},
		{"configure", (*journey).configure},
		{"deploy refuses what cannot work", (*journey).deployRefuses},
		{"deploy", (*journey).deploy},
		{"algorithms answer", (*journey).answers},
		{"deploy again changes nothing", (*journey).deployAgain},
		{"a deploy with nothing to change only reads", (*journey).nothingToDo},
		{"README and guide are as they say", (*journey).asWritten},
		{"another launch is refused in the namespace", (*journey).otherLaunch},
		{"two launches on one ingress", (*journey).sharedIngress},
		{"an edit leaves the running satellite alone", (*journey).edit},
		{"the next deploy brings the edit and prunes", (*journey).upgrade},
		{"key changes come with the next deploy", (*journey).keys},
		{"an image that cannot be pulled ends the deploy early", (*journey).brokenImage},
		{"a deploy outlives the API server", (*journey).apiServerRestarts},
		{"a scaled Deployment is drift", (*journey).scaled},
		{"logs", (*journey).logs},
		{"rollback and deploy again", (*journey).rollback},
		{"a removed launch keeps serving", (*journey).removeLaunch},
		{"remove", (*journey).remove},
	})
}

func start(t *testing.T) *journey {
	t.Helper()
	bin := os.Getenv("CONSTELLATION_BIN")
	if bin == "" || runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux, root and CONSTELLATION_BIN (the folder with the built programs): run make e2e")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "constellation-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must reach its data
		t.Fatal(err)
	}
	s, err := stack.Start(ctx, stack.Options{Dir: dir, Bin: bin, Name: "e2e-" + filepath.Base(dir)[len("constellation-e2e-"):], Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	config, err := clientcmd.BuildConfigFromFlags("", s.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &journey{Stack: s, kube: kube}
}

// step is one step of a test, which goes on where the one before it ended.
type step struct {
	name string
	run  func(*journey, *testing.T)
}

// walk takes the steps, and explains the first one that fails, which ends the test.
func (j *journey) walk(t *testing.T, steps []step) {
	t.Helper()
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) { step.run(j, t) }) {
			j.explain(t)
			t.FailNow()
		}
	}
}

// deployNew brings a new satellite with a caller's key to the cluster: into a
// namespace with those labels, with those settings beside the cluster's own.
func (j *journey) deployNew(t *testing.T, name string, labels map[string]string, settings []string, routes ...stack.Route) {
	t.Helper()
	if _, err := j.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var err error
	if j.satelliteID, err = j.CreateSatellite(t.Context(), name, routes...); err != nil {
		t.Fatal(err)
	}
	key, err := j.Client.CreateSatelliteKey(t.Context(), j.satelliteID, apiv1.SatelliteKeyCreate{Name: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	j.key, j.keyID = key.Secret, key.ID
	if j.launchID, err = j.CreateLaunch(t.Context(), j.satelliteID, 1, strings.ToLower(name)); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "get", j.AdminKey)
	j.operate(t, append(append([]string{"configure"}, settings...), j.Configure(namespace)...)...)
	j.operate(t, "deploy")
}

// explain prints what a person would look at first when a step failed.
func (j *journey) explain(t *testing.T) {
	t.Helper()
	if log, err := os.ReadFile(j.Mothership.Log()); err == nil {
		t.Logf("mothership: …%s", log[max(0, len(log)-4000):])
	}
	j.explainPods(t, namespace)
}

// explainPods prints the state of a namespace's pods and the end of their logs.
func (j *journey) explainPods(t *testing.T, namespace string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	pods, err := j.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, pod := range pods.Items {
		t.Logf("pod %s: %s", pod.Name, pod.Status.Phase)
		for _, c := range pod.Status.ContainerStatuses {
			t.Logf("  %s ready=%v restarts=%d state=%+v", c.Name, c.Ready, c.RestartCount, c.State)
		}
		logs, err := j.kube.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(15))}).DoRaw(ctx)
		t.Logf("  %s %v", logs, err)
	}
}

func (j *journey) push(t *testing.T) {
	for _, image := range []struct {
		ref           *string
		example, hash string
	}{{&j.hello, "hello", stack.HashA}, {&j.helloB, "hello", stack.HashB}, {&j.shout, "shout", stack.HashA}} {
		ref, err := j.PushExample(t.Context(), image.example, "neo", image.hash)
		if err != nil {
			t.Fatal(err)
		}
		*image.ref = ref
	}
	if want := "neo/hello/" + stack.HashA; j.hello != want {
		t.Errorf("pushed %s, want %s", j.hello, want)
	}
}

func (j *journey) create(t *testing.T) {
	var err error
	j.satelliteID, err = j.CreateSatellite(t.Context(), "E2E", stack.Route{Vanity: "demo/hello", Algorithm: j.hello, Replicas: 2}, stack.Route{Vanity: "demo/shout", Algorithm: j.shout, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	key, err := j.Client.CreateSatelliteKey(t.Context(), j.satelliteID, apiv1.SatelliteKeyCreate{Name: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	j.key, j.keyID = key.Secret, key.ID
	limited, err := j.Client.CreateSatelliteKey(t.Context(), j.satelliteID, apiv1.SatelliteKeyCreate{Name: "shouter", Algorithms: []string{"demo/shout"}})
	if err != nil {
		t.Fatal(err)
	}
	j.limitedKey = limited.Secret
	slow, err := j.Client.CreateSatelliteKey(t.Context(), j.satelliteID, apiv1.SatelliteKeyCreate{Name: "slow", Rate: &apiv1.KeyRate{PerSecond: .001, Burst: 2}})
	if err != nil {
		t.Fatal(err)
	}
	j.slowKey = slow.Secret
	if j.launchID, err = j.CreateLaunch(t.Context(), j.satelliteID, 1, "cluster"); err != nil {
		t.Fatal(err)
	}
}

// refused runs an operator's command that must end with an exit code and a
// sentence that holds want.
func (j *journey) refused(t *testing.T, code int, want, satelliteID, launchID string, args ...string) {
	t.Helper()
	_, err := j.Operate(t.Context(), satelliteID, launchID, args...)
	var failed *stack.CommandError
	if !errors.As(err, &failed) {
		t.Errorf("%v: %v, want exit code %d", args, err, code)
		return
	}
	if failed.Code != code || !strings.Contains(failed.Stderr, want) {
		t.Errorf("%v: exit code %d with %q, want %d with %q", args, failed.Code, failed.Stderr, code, want)
	}
	if strings.Contains(failed.Stderr, j.AdminKey) {
		t.Errorf("%v prints the admin key: %s", args, failed.Stderr)
	}
}

func (j *journey) operate(t *testing.T, args ...string) string {
	t.Helper()
	out, err := j.Operate(t.Context(), j.satelliteID, j.launchID, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (j *journey) launchDir() string {
	return filepath.Join(j.DeploymentDir(), "current", "satellite", j.satelliteID, j.launchID)
}

func (j *journey) getRefuses(t *testing.T) {
	const missing = "00000000-0000-4000-8000-000000000000"
	j.refused(t, 6, "key", j.satelliteID, j.launchID, "get", "cst_wrong")
	j.refused(t, 1, "there is no satellite", missing, j.launchID, "get", j.AdminKey)
	j.refused(t, 1, "there is no launch", j.satelliteID, missing, "get", j.AdminKey)
	j.refused(t, 7, "127.0.0.1:1", j.satelliteID, j.launchID, "get", j.AdminKey, "--mothership", "http://127.0.0.1:1")
	j.refused(t, 2, "get", j.satelliteID, j.launchID, "gte", j.AdminKey)
	if _, err := os.Stat(filepath.Join(j.launchDir(), "launch.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("launch.json after refused gets: %v, want none", err)
	}
}

func (j *journey) get(t *testing.T) {
	j.operate(t, "get", j.AdminKey)
	for _, file := range []string{"launch.json", "launch.json.sig", "bundle/oci-layout", "bundle/index.json"} {
		if _, err := os.Stat(filepath.Join(j.launchDir(), file)); err != nil {
			t.Error(err)
		}
	}
	err := filepath.WalkDir(j.DeploymentDir(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(j.AdminKey)) {
			t.Errorf("%s holds the admin key", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func (j *journey) configure(t *testing.T) {
	j.refused(t, 2, "stage.container_registry", j.satelliteID, j.launchID, "configure", "stage.container_registri=x.example/y")
	for _, setting := range append(j.Configure(namespace), "stage.resources.engine.memory=512Mi") { // as the guide's launch in Git has it
		j.operate(t, "configure", setting)
	}
	if out := j.operate(t, "configure"); !strings.Contains(out, j.Registry) {
		t.Errorf("configure shows %q, want the registry %s", out, j.Registry)
	}
}

func (j *journey) deployRefuses(t *testing.T) {
	// The namespace does not exist yet.
	j.refused(t, 4, namespace, j.satelliteID, j.launchID, "deploy")
	_, err := j.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (j *journey) deploy(t *testing.T) {
	j.operate(t, "deploy")
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "constellation/launch=" + j.launchID})
	if err != nil {
		t.Fatal(err)
	}
	ready := 0
	for _, pod := range pods.Items {
		for _, c := range pod.Spec.Containers {
			if !strings.Contains(c.Image, "@sha256:") || !strings.HasPrefix(c.Image, j.Registry) {
				t.Errorf("pod %s runs %s, want a digest in %s", pod.Name, c.Image, j.Registry)
			}
		}
		if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			ready++
		}
	}
	// Two engines, three queue nodes, two hello, one shout, in a namespace that
	// enforces the restricted Pod Security standard.
	if ready != 8 {
		t.Errorf("%d pods are ready, want 8", ready)
	}
	claims, err := j.kube.CoreV1().PersistentVolumeClaims(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "constellation/launch=" + j.launchID})
	if err != nil || len(claims.Items) != 3 {
		t.Errorf("%d volumes are claimed, %v; want one for each queue node, of the cluster's default StorageClass", len(claims.Items), err)
	}
}

// call makes one call through the ingress, which must have the answer: what a
// deploy called ready is, and no caller has to try twice.
func (j *journey) call(t *testing.T, key, vanity, contentType, body string, status int, want ...string) {
	t.Helper()
	got, answer, err := j.Call(t.Context(), key, vanity, contentType, body)
	if err != nil || got != status {
		t.Errorf("call %s with %.40q = %d %s, %v; want %d", vanity, body, got, answer, err, status)
		return
	}
	for _, part := range want {
		if !strings.Contains(answer, part) {
			t.Errorf("call %s with %q = %s, want %s in it", vanity, body, answer, part)
		}
	}
}

// callUntil is call, again while there is no replica: the algorithm's only one
// was just ended.
func (j *journey) callUntil(t *testing.T, key, vanity, contentType, body string, status int, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	answer, err := j.CallUntil(ctx, key, vanity, contentType, body, status)
	if err != nil {
		t.Error(err)
		return
	}
	for _, part := range want {
		if !strings.Contains(answer, part) {
			t.Errorf("call %s with %q = %s, want %s in it", vanity, body, answer, part)
		}
	}
}

func (j *journey) answers(t *testing.T) {
	j.call(t, j.key, "demo/hello", "text/plain", "Neo", 200, `"result":"Hello Neo"`, `"content_type":"text"`, `"duration":`)
	j.call(t, j.key, "demo/hello/", "application/json", `{"a":[1,"é"]}`, 200, `"result":{"a":[1,"é"]}`, `"content_type":"json"`)
	j.call(t, j.key, j.hello, "text/plain", "Trinity", 200, `"Hello Trinity"`)
	j.call(t, j.key, "neo/hello", "application/octet-stream", "\x00\x01", 200, `"result":"AAE="`, `"content_type":"binary"`)
	j.call(t, j.key, "demo/hello?output=raw", "text/plain", "Neo", 200, "Hello Neo")
	j.call(t, j.key, "demo/hello", "application/json", `{"raise":"boom"}`, 200, `"error":{`, `"message":"boom"`)
	j.call(t, j.key, "demo/hello?timeout=1", "application/json", `{"sleep":30}`, 200, "Failed to run algorithm - may have timed-out or hit out-of-memory error")
	j.call(t, j.key, "demo/shout", "text/plain", "quiet", 200, `"QUIET"`)
	j.stores(t)
	j.call(t, "", "demo/hello", "text/plain", "Neo", 401, `{"error":{"message":"authorization required"}}`)
	j.call(t, j.limitedKey, "demo/hello", "text/plain", "Neo", 403, `the API key \"shouter\" may not call algo://demo/hello`)
	for range 2 { // of two engines, each counts what the other served
		j.call(t, j.slowKey, "demo/shout", "text/plain", "slow", 200, `"SLOW"`)
	}
	j.call(t, j.slowKey, "demo/shout", "text/plain", "slow", 429, "this API key makes more calls than its limit allows")
	j.call(t, "cst_wrong", "demo/hello", "text/plain", "Neo", 401, `"error"`)
	j.call(t, j.key, "demo/nothing", "text/plain", "Neo", 404, "algo://demo/nothing not found")
	j.call(t, j.key, "demo/hello", "image/png", "x", 415, `"error"`)
	j.call(t, j.key, "demo/hello", "text/plain", strings.Repeat("x", 10<<20+1), 413, "")
	// The mothership's own admin key is not a key of this satellite.
	j.call(t, j.AdminKey, "demo/hello", "text/plain", "Neo", 401, `"error"`)
}

// stores makes a call that nobody waits for. Until the engines found the queue's
// nodes and made its streams, it is refused with 503.
func (j *journey) stores(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	answer, err := j.CallUntil(ctx, j.key, "demo/hello?output=void", "text/plain", "Neo", 200)
	if err != nil || !strings.Contains(answer, `"async":"void"`) || !strings.Contains(answer, `"request_id":"req-`) {
		t.Errorf("a call that nobody waits for = %s, %v; want it stored", answer, err)
	}
}

// generations is each Deployment's generation and pod template, which a
// deploy with nothing new must leave alone.
func (j *journey) generations(t *testing.T) map[string]int64 {
	t.Helper()
	list, err := j.kube.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	generations := map[string]int64{}
	for _, d := range list.Items {
		generations[d.Name+"/"+string(d.UID)] = d.Generation
	}
	return generations
}

func (j *journey) deployAgain(t *testing.T) {
	before := j.generations(t)
	j.operate(t, "deploy")
	after := j.generations(t)
	for name, generation := range before {
		if after[name] != generation {
			t.Errorf("deployment %s went from generation %d to %d", name, generation, after[name])
		}
	}
}

func (j *journey) otherLaunch(t *testing.T) {
	other, err := j.CreateLaunch(t.Context(), j.satelliteID, 1, "second")
	if err != nil {
		t.Fatal(err)
	}
	j.otherID = other
	if _, err := j.Operate(t.Context(), j.satelliteID, other, "get", j.AdminKey); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Operate(t.Context(), j.satelliteID, other, append([]string{"configure"}, j.Configure(namespace)...)...); err != nil {
		t.Fatal(err)
	}
	j.refused(t, 4, j.launchID, j.satelliteID, other, "deploy")
}

func (j *journey) edit(t *testing.T) {
	number, err := j.EditSatellite(t.Context(), j.satelliteID, stack.Route{Vanity: "demo/hello", Algorithm: j.helloB, Replicas: 1}, stack.Route{Vanity: "demo/greet", Algorithm: j.hello, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	if number != 2 {
		t.Errorf("the edit made version %d, want 2", number)
	}
	j.call(t, j.key, "demo/shout", "text/plain", "still", 200, `"STILL"`)
	j.call(t, j.key, "demo/greet", "text/plain", "early", 404, "not found")
	// A deploy of what was got before changes nothing either.
	before := j.generations(t)
	j.operate(t, "get", j.AdminKey)
	j.operate(t, "deploy")
	for name, generation := range j.generations(t) {
		if before[name] != generation {
			t.Errorf("deployment %s changed without an edit of the launch", name)
		}
	}
}

func (j *journey) upgrade(t *testing.T) {
	version := 2
	if _, _, err := j.Client.UpdateLaunch(t.Context(), j.satelliteID, j.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &version}); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "get", j.AdminKey)
	before := j.engines(t)
	stop := j.hammer(t, "demo/hello")
	j.operate(t, "deploy")
	// Deploy says ready when every engine has the new routes: no call may be
	// early, whichever engine it comes to.
	for range 10 {
		j.callNow(t, j.key, "demo/greet", "Neo", 200, `"Hello Neo"`)
		j.callNow(t, j.key, j.helloB, "Neo", 200, `"Hello Neo"`)
		j.callNow(t, j.key, "demo/shout", "gone", 404, "not found")
	}
	if failed := stop(); failed != "" {
		t.Errorf("a call during the deploy: %s", failed)
	}
	if diff := cmp.Diff(before, j.engines(t)); diff != "" {
		t.Errorf("the deploy restarted engines (-before +after):\n%s", diff)
	}
	for name := range j.generations(t) {
		if strings.Contains(name, "shout") {
			t.Errorf("deployment %s is still there", name)
		}
	}
	services, err := j.kube.CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range services.Items {
		if strings.Contains(service.Name, "shout") {
			t.Errorf("service %s is still there", service.Name)
		}
	}
}

// callNow wants the right answer at the first call.
func (j *journey) callNow(t *testing.T, key, vanity, body string, status int, want string) {
	t.Helper()
	got, answer, err := j.Call(t.Context(), key, vanity, "text/plain", body)
	if err != nil || got != status || !strings.Contains(answer, want) {
		t.Errorf("first call of %s = %d %s, %v; want %d with %s", vanity, got, answer, err, status, want)
	}
}

// hammer calls an algorithm until it is stopped, and gives the first answer
// that was not 200.
func (j *journey) hammer(t *testing.T, vanity string) (stop func() string) {
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan string, 1)
	go func() {
		defer close(failed)
		for ctx.Err() == nil {
			status, answer, err := j.Call(ctx, j.key, vanity, "text/plain", "Neo")
			if ctx.Err() == nil && (err != nil || status != 200) {
				failed <- fmt.Sprintf("%d %s %v", status, answer, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() string { cancel(); return waittest.Receive(t, "the end of the calls", failed) }
}

// engines returns each engine pod's identity and restarts.
func (j *journey) engines(t *testing.T) map[string]int32 {
	t.Helper()
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=execution-engine"})
	if err != nil {
		t.Fatal(err)
	}
	engines := map[string]int32{}
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			engines[pod.Name] = c.RestartCount
		}
	}
	return engines
}

func (j *journey) keys(t *testing.T) {
	created, err := j.CreateCallerKey(t.Context(), j.satelliteID, "second caller")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Client.RevokeSatelliteKey(t.Context(), j.satelliteID, j.keyID); err != nil {
		t.Fatal(err)
	}
	// A heartbeat may have brought the change already (TestPipe waits for one);
	// after a deploy every engine must have it.
	j.operate(t, "get", j.AdminKey)
	j.operate(t, "deploy")
	for range 10 {
		j.callNow(t, created, "demo/hello", "Neo", 200, "Hello Neo")
		j.callNow(t, j.key, "demo/hello", "Neo", 401, "error")
	}
	j.key = created
}

func (j *journey) removeLaunch(t *testing.T) {
	if err := j.Client.DeleteLaunch(t.Context(), j.satelliteID, j.launchID); err != nil {
		t.Fatal(err)
	}
	j.refused(t, 1, "there is no launch", j.satelliteID, j.launchID, "get", j.AdminKey)
	j.call(t, j.key, "demo/greet", "text/plain", "Neo", 200, `"NEO"`)
}
