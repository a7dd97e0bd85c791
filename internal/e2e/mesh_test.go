package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

const (
	meshName = "mesh-proxy"
	meshUser = 1337 // as Istio's proxy
	inbound  = 15006
	outbound = 15001
)

// meshProxy is what a mesh's proxy does with a connection, apart from all else: it
// takes those that were redirected to it and passes them on, into the pod or out
// of it. Its last argument tells its processes from others.
const meshProxy = `
import asyncio, os, signal, socket, struct

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        writer.close()

def serve(way):
    async def handle(reader, writer):
        meant = writer.get_extra_info("socket").getsockopt(socket.SOL_IP, 80, 16)  # SO_ORIGINAL_DST
        port, address = struct.unpack("!2xH4s8x", meant)
        address = socket.inet_ntoa(address)
        print(way, "from", writer.get_extra_info("peername")[0], "to", address, port, flush=True)
        try:
            there = await asyncio.open_connection("127.0.0.1" if way == "inbound" else address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        there[1].close()
        writer.close()
    return handle

async def main():
    await asyncio.start_server(serve("inbound"), "0.0.0.0", 15006)
    await asyncio.start_server(serve("outbound"), "0.0.0.0", 15001)
    await asyncio.Event().wait()

asyncio.run(main())
`

// mesh stands in for a service mesh: its webhook puts a proxy beside the pods that
// the mesh's own labels choose, and what its CNI plugin does, a redirection in the
// pods' network, leads all connections through it.
type mesh struct {
	image string // of Python

	mu     sync.Mutex
	pods   int // whose connections are redirected
	failed error
}

// startMesh has the mesh until the cluster goes.
func (j *journey) startMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{image: j.podOf(t, same).Spec.Containers[0].Image}
	server := j.serveTLS(t, http.HandlerFunc(m.inject))
	fail, none, scope := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.NamespacedScope
	address := server.URL + "/inject"
	_, err := j.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "mesh-injector"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "injector.mesh.example.com", FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &address, CABundle: j.site.authority.PEM},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: &scope},
			}},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"istio-injection": "enabled"}},
			ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "sidecar.istio.io/inject", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"false"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	go m.redirectAll(context.WithoutCancel(t.Context()), filepath.Join(j.Dir, "cluster"))
	return m
}

// inject answers the API server. Engines get the proxy as Istio has it, a container
// that starts before the others and goes on; algorithms as Linkerd has it, the
// first of the containers.
func (m *mesh) inject(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	var pod corev1.Pod
	err := json.NewDecoder(r.Body).Decode(&review)
	if err == nil {
		err = json.Unmarshal(review.Request.Object.Raw, &pod)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	proxy, kind := m.container(), admissionv1.PatchTypeJSONPatch
	path, value := "/spec/containers/0", any(&proxy)
	if pod.Labels["app.kubernetes.io/name"] == render.EngineName {
		always := corev1.ContainerRestartPolicyAlways
		proxy.RestartPolicy = &always
		if path = "/spec/initContainers/0"; len(pod.Spec.InitContainers) == 0 {
			path, value = "/spec/initContainers", []*corev1.Container{&proxy}
		}
	}
	patch, err := json.Marshal([]map[string]any{{"op": "add", "path": path, "value": value}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: &kind}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

// container is the proxy, which keeps to the restricted Pod Security standard.
func (m *mesh) container() corev1.Container {
	no, yes, user := false, true, int64(meshUser)
	room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("96Mi")}
	return corev1.Container{
		Name: meshName, Image: m.image, Command: []string{"/usr/bin/python3", "-c", meshProxy, meshName},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: &user, RunAsNonRoot: &yes, AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Resources: corev1.ResourceRequirements{Requests: room, Limits: corev1.ResourceList{corev1.ResourceMemory: room[corev1.ResourceMemory]}},
	}
}

// redirectAll redirects what goes into and out of each pod that gets a proxy.
func (m *mesh) redirectAll(ctx context.Context, clusterDir string) {
	seen := map[string]bool{}
	for {
		pids, err := processes(clusterDir, "python3\x00-c\x00", "\x00"+meshName+"\x00")
		if err != nil {
			return // the cluster went
		}
		for _, pid := range pids {
			space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
			if err != nil || seen[space] {
				continue
			}
			seen[space] = true
			m.mu.Lock()
			if m.pods++; m.failed == nil {
				m.failed = redirect(ctx, pid)
			}
			m.mu.Unlock()
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// redirect leads the connections of a process' network through its proxy: not the
// proxy's own, and not those that do not leave the pod.
func redirect(ctx context.Context, pid int) error {
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(pid), "--net", "--", "iptables-restore", "--noflush") //nolint:gosec // of this test's cluster
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`*nat
-A PREROUTING -p tcp -j REDIRECT --to-ports %d
-A OUTPUT -p tcp -d 127.0.0.0/8 -j RETURN
-A OUTPUT -p tcp -m owner --uid-owner %d -j RETURN
-A OUTPUT -p tcp -j REDIRECT --to-ports %d
COMMIT
`, inbound, meshUser, outbound))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("redirect a pod's connections: %w: %s", err, out)
	}
	return nil
}

// meshed: with the proxies beside the engines and one algorithm, and none where the
// mesh is off, calls go as they did.
func (j *journey) meshed(t *testing.T) {
	m := j.site.mesh
	m.mu.Lock()
	if m.failed != nil || m.pods < 3 {
		t.Errorf("%d pods are redirected, %v; want the two engines' and the algorithm's", m.pods, m.failed)
	}
	m.mu.Unlock()
	if pod := j.podOf(t, neighbour); hasProxy(pod) {
		t.Errorf("%s has a proxy, with mesh=off in a namespace that injects", pod.Name)
	}
	pod := j.podOf(t, own)
	if !hasProxy(pod) || pod.Spec.Containers[0].Name != meshName {
		t.Errorf("%s has no proxy, with mesh=on", pod.Name)
	}
	client := j.through(t, j.ingressAddress(t))
	wants := func(contentType, body, query string, want ...string) {
		t.Helper()
		status, answer := j.ask(t, client, "Simple "+j.key, own+query, contentType, body)
		for _, part := range want {
			if status != http.StatusOK || !strings.Contains(answer, part) {
				t.Errorf("%.60s behind proxies = %d %.300s; want %q", body, status, answer, part)
			}
		}
	}
	large := strings.Repeat("0123456789abcdef", 4<<20/16)
	wants("text/plain", large, "", large)
	// The engines' proxies hide which pod a call came from.
	sister := `{"call":"` + same + `","with":"sister"}`
	wants("application/json", sister, "", "see stage.own_key if something between them changes the address")
	j.operate(t, "configure", "stage.own_key=any")
	j.operate(t, "deploy")
	wants("application/json", sister, "", "Hello sister")
	wants("application/json", `{"sleep":60}`, "?timeout=1", ranOut, `"error_type":"TimeoutError"`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, answer := j.ask(t, client, "Simple "+j.key, own, "text/plain", "again")
		if status == http.StatusOK && strings.Contains(answer, "Hello again") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a time-out a call = %d %.300s", status, answer)
		}
	}
	j.flows(t, client)
	engines, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + render.EngineName})
	if err != nil {
		t.Fatal(err)
	}
	called, passed := j.proxied(t, pod.Name), ""
	for _, engine := range engines.Items {
		if !hasProxy(engine) {
			t.Errorf("the engine %s has no proxy", engine.Name)
		}
		passed += j.proxied(t, engine.Name)
		if want := "inbound from " + engine.Status.PodIP + " to " + pod.Status.PodIP + " 9999\n"; strings.Contains(called, want) {
			called += "from an engine\n"
		}
	}
	for _, want := range []string{"from an engine\n", "outbound from " + pod.Status.PodIP + " to "} {
		if !strings.Contains(called, want) {
			t.Errorf("the algorithm's proxy passed:\n%s\nwant %q", called, want)
		}
	}
	for _, want := range []string{" 8080\n", " 8443\n", " to " + pod.Status.PodIP + " 9999\n", " to " + j.Cluster.HostAddress + " "} {
		if !strings.Contains(passed, want) {
			t.Errorf("the engines' proxies passed:\n%s\nwant %q", passed, want)
		}
	}
	if out := j.operate(t, "logs", own); !strings.Contains(out, "the algorithm is loaded") {
		t.Errorf("logs of an algorithm beside a proxy: %q", out)
	}
	j.operate(t, "status")
	if out := j.operate(t, "diff"); !strings.Contains(out, "no changes") {
		t.Errorf("diff after the mesh put its proxies there: %s", out)
	}
}

// flows: an answer comes in pieces as it is made, and a call is stored and run.
func (j *journey) flows(t *testing.T, client *http.Client) {
	t.Helper()
	var first, last time.Time
	caller := callers.Caller{Base: "https://" + siteHost + "/v1/algo", Key: j.key, HTTP: client}
	err := caller.StreamChat(t.Context(), neighbour, "parrot-1", strings.Repeat("knock ", 50), func(string) {
		if last = time.Now(); first.IsZero() {
			first = last
		}
	})
	if took := last.Sub(first); err != nil || took < 500*time.Millisecond { // the sample takes a second
		t.Errorf("the words of a second's answer all came within %v, %v", took, err)
	}
	status, answer := j.ask(t, client, "Simple "+j.key, own+"?output=void", "text/plain", "stored")
	var stored struct {
		ID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(answer), &stored); err != nil || status != http.StatusOK {
		t.Fatalf("a call that nobody waits for = %d %.300s, %v", status, answer, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+siteHost+"/v1/async/"+stored.ID+"?wait=30", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Simple "+j.key)
	ended, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer ended.Body.Close() //nolint:errcheck // read to its end
	var call struct{ State string }
	if err := json.NewDecoder(ended.Body).Decode(&call); err != nil || call.State != "succeeded" {
		t.Errorf("the stored call is %q, %v", call.State, err)
	}
}

func hasProxy(pod corev1.Pod) bool {
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if c.Name == meshName {
			return true
		}
	}
	return false
}

// proxied is what a pod's proxy says that it passed.
func (j *journey) proxied(t *testing.T, pod string) string {
	t.Helper()
	data, err := j.kube.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: meshName}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
