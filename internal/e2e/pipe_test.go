package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/stack"
)

// TestPipe runs images that have only a pipe process, in a namespace that
// enforces the restricted Pod Security standard: nothing in them knows of
// HTTP, and the runner is put in beside them. Samples of the opposite, whole HTTP
// services, run in the same launch. At the end all is set that one site may set of
// its own, at once.
func TestPipe(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"push images of Debian packages", (*journey).pushPipes},
		{"push samples of HTTP services", (*journey).pushSamples},
		{"deploy", (*journey).deployPipes},
		{"the Python sample answers", (*journey).pythonAnswers},
		{"the shell sample answers", (*journey).shellAnswers},
		{"OpenAI's client talks to the chat sample", (*journey).chatAnswers},
		{"the Open Inference Protocol's sample answers", (*journey).irisAnswers},
		{"the picture sample answers", (*journey).pictureAnswers},
		{"the WebSocket sample answers", (*journey).webSocketAnswers},
		{"the gRPC sample answers", (*journey).grpcAnswers},
		{"the guide's page on HTTP algorithms is as it says", (*journey).servicesAsWritten},
		{"errors come back as clients expect", (*journey).pipeErrors},
		{"algorithms call each other, and nobody else can with their key", (*journey).siblings},
		{"pods hold to the restricted standard", (*journey).restricted},
		{"the launch is seen and up", (*journey).up},
		{"a key change comes with a heartbeat", (*journey).revoke},
		{"the mothership goes away and comes back", (*journey).away},
		{"weights are moved once, and read by all", (*journey).weights},
		{"a site makes its own settings", (*journey).ownSettings},
		{"pods go to the tainted node with the device, or it is said why not", (*journey).placed},
		{"variables, secrets and volumes are there", (*journey).surrounded},
		{"callers come by TLS, with tokens", (*journey).identified},
		{"calls pass the proxies of a mesh", (*journey).meshed},
	})
}

func (j *journey) pushPipes(t *testing.T) {
	for example, ref := range map[string]*string{"python": &j.hello, "shell": &j.shout} {
		got, err := j.PushExample(t.Context(), example, "neo", stack.HashA)
		if err != nil {
			t.Fatal(err)
		}
		*ref = got
	}
}

func (j *journey) deployPipes(t *testing.T) {
	j.deployNew(t, "Pipes", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, []string{"stage.resources.pipe/python.memory=192Mi"},
		append([]stack.Route{{Vanity: "pipe/python", Algorithm: j.hello, Replicas: 1}, {Vanity: "pipe/shell", Algorithm: j.shout, Replicas: 1}}, j.samples...)...)
}

func (j *journey) pythonAnswers(t *testing.T) {
	j.call(t, j.key, "pipe/python", "text/plain", "Neo", 200, `"result":"Hello Neo"`, `"content_type":"text"`, `"duration":`)
	j.call(t, j.key, "pipe/python", "application/json", `{"add":[1,2]}`, 200, `"result":{"sum":3}`, `"content_type":"json"`)
	j.call(t, j.key, "pipe/python?output=raw", "application/octet-stream", "Neo", 200, "")
	j.call(t, j.key, "pipe/python?stdout=true", "application/json", `{"print":"said"}`, 200, `"stdout":"said\n"`)
}

func (j *journey) shellAnswers(t *testing.T) {
	j.call(t, j.key, "pipe/shell", "text/plain", `Neo "é"`, 200, `"result":"Hello Neo \"é\""`, `"content_type":"text"`)
	if out := j.operate(t, "logs", "pipe/python"); !strings.Contains(out, "algo-pipe-python") || !strings.Contains(out, "the algorithm is loaded") {
		t.Errorf("logs of an algorithm: %q", out)
	}
	j.call(t, j.key, "pipe/shell", "application/json", `{"a":[1]}`, 200, `"result":{"a":[1]}`, `"content_type":"json"`)
	j.call(t, j.key, "pipe/shell", "application/octet-stream", "x", 200, `"message":"this algorithm takes text and JSON"`, `"error_type":"InputError"`)
}

const ranOut = `"message":"Failed to run algorithm - may have timed-out or hit out-of-memory error"`

func (j *journey) pipeErrors(t *testing.T) {
	j.call(t, j.key, "pipe/python", "application/json", `{"raise":"boom"}`, 200, `"error":{"message":"boom","stacktrace":"Traceback`, `in apply`, `"error_type":"AlgorithmError"`, `"metadata":{"duration":`)
	j.call(t, j.key, "pipe/python", "application/json", `{"exit":3,"warn":"last words"}`, 200, `"message":"exited with code 3"`, `last words`, `"error_type":"SystemExit"`)
	j.callUntil(t, j.key, "pipe/python", "text/plain", "after exit", 200, `"Hello after exit"`)
	j.call(t, j.key, "pipe/python?timeout=1", "application/json", `{"sleep":60}`, 200, ranOut, `"error_type":"TimeoutError"`)
	j.callUntil(t, j.key, "pipe/python", "text/plain", "after a time-out", 200, `"Hello after a time-out"`)
	// Which process the kernel kills is its own to say: with a cgroup of
	// version 2 it takes the whole container, and the runner cannot tell.
	j.callUntil(t, j.key, "pipe/python", "application/json", `{"allocate_mib":512}`, 200, ranOut)
	j.callUntil(t, j.key, "pipe/python", "text/plain", "after a memory kill", 200, `"Hello after a memory kill"`)
}

// siblings: the key that every algorithm's pod has works from there, and from
// nowhere else.
func (j *journey) siblings(t *testing.T) {
	j.call(t, j.key, "pipe/python", "application/json", `{"call":"pipe/shell","with":"sister"}`, 200, `Hello sister`)
	secret, err := j.kube.CoreV1().Secrets(namespace).Get(t.Context(), render.AlgorithmKey, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	j.call(t, string(secret.Data["key"]), "pipe/shell", "text/plain", "Neo", 403, "the satellite's own key works from its algorithms' pods alone")
}

// restricted checks what the namespace's standard does not ask for: read-only
// roots, and no token in a pod that needs none.
func (j *journey) restricted(t *testing.T) {
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		name := pod.Labels["app.kubernetes.io/name"]
		for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			readOnly := c.SecurityContext.ReadOnlyRootFilesystem != nil && *c.SecurityContext.ReadOnlyRootFilesystem
			if !readOnly && !strings.HasPrefix(name, "algo-pipe-shell") {
				t.Errorf("container %s of %s can write its root file system", c.Name, pod.Name)
			}
			for _, m := range c.VolumeMounts {
				if strings.Contains(m.MountPath, "serviceaccount") && name != "execution-engine" {
					t.Errorf("container %s of %s has a token of the cluster", c.Name, pod.Name)
				}
			}
		}
	}
	if want := 4 + len(samples); len(pods.Items) < want {
		t.Errorf("%d pods, want two engines and the algorithms, %d", len(pods.Items), want)
	}
}

// launchUntil waits until the mothership has a launch as it is wanted.
func (j *journey) launchUntil(t *testing.T, within time.Duration, what string, done func(*apiv1.LaunchDetail) bool) *apiv1.LaunchDetail {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		launch, _, err := j.Client.GetLaunch(t.Context(), j.satelliteID, j.launchID)
		if err == nil && done(launch) {
			return launch
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s the launch is not %s: %+v, %v", within, what, launch, err)
		case <-tick.C:
		}
	}
}

func (j *journey) up(t *testing.T) {
	launch := j.launchUntil(t, 90*time.Second, "up with both engines and its calls", func(l *apiv1.LaunchDetail) bool {
		return l.Status == "up" && l.Report != nil && len(l.Report.Engines) == 2 && len(l.Report.Algorithms) == 2+len(samples) && l.Report.Algorithms[0].Ever.Calls > 0
	})
	if launch.FirstSeenAt == nil || launch.RunningVersion == nil || *launch.RunningVersion != 1 || launch.Wanted != 2+len(samples) {
		t.Errorf("launch = %+v, want it seen, running version 1 and wanting a replica of each algorithm", launch)
	}
	if total := launch.Report.Algorithms[0].Ever; total.Errors == 0 || total.P50 == 0 {
		t.Errorf("calls = %+v, want errors and latencies too", total)
	}
}

// revoke: a new key works, and a revoked one is refused by every engine,
// within one interval of heartbeats.
func (j *journey) revoke(t *testing.T) {
	key, err := j.Client.CreateSatelliteKey(t.Context(), j.satelliteID, apiv1.SatelliteKeyCreate{Name: "for a minute"})
	if err != nil {
		t.Fatal(err)
	}
	j.steady(t, key.Secret, 200)
	if err := j.Client.RevokeSatelliteKey(t.Context(), j.satelliteID, key.ID); err != nil {
		t.Fatal(err)
	}
	j.steady(t, key.Secret, 401)
	j.call(t, j.key, "pipe/shell", "text/plain", "still", 200, "Hello still")
}

// steady waits, for an interval with its jitter at most, until ten calls in a
// row, which the Service spreads over the engines, have the status.
func (j *journey) steady(t *testing.T, key string, status int) {
	t.Helper()
	begun, row := time.Now(), 0
	for last := 0; row < 10; {
		got, answer, err := j.Call(t.Context(), key, "pipe/shell", "text/plain", "Neo")
		if row++; err != nil || got != status {
			row, last = 0, got
		}
		if time.Since(begun) > 36*time.Second {
			t.Fatalf("after %s calls still have status %d: %s %v; want %d", time.Since(begun), last, answer, err, status)
		}
	}
	t.Logf("status %d after %.1f s", status, time.Since(begun).Seconds())
}

func (j *journey) away(t *testing.T) {
	dir, host := filepath.Dir(j.Mothership.DataDir), j.Mothership.Host
	before, _, err := j.Client.GetLaunch(t.Context(), j.satelliteID, j.launchID)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Mothership.Stop(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	for time.Since(stopped) < 32*time.Second { // at least one heartbeat fails
		j.call(t, j.key, "pipe/shell", "text/plain", "alone", 200, "Hello alone")
	}
	if j.Mothership, err = stack.StartMothership(t.Context(), filepath.Join(j.Bin, "mothership"), dir, host); err != nil {
		t.Fatal(err)
	}
	launch := j.launchUntil(t, 50*time.Second, "seen again", func(l *apiv1.LaunchDetail) bool {
		return l.LastSeenAt != nil && l.LastSeenAt.After(stopped) && l.Status == "up"
	})
	if !launch.FirstSeenAt.Equal(*before.FirstSeenAt) {
		t.Errorf("first seen went from %v to %v", before.FirstSeenAt, launch.FirstSeenAt)
	}
}
