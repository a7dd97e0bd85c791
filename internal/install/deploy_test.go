package install_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
)

// startAPIServer runs a real kube-apiserver and gives its kubeconfig.
func startAPIServer(t *testing.T) string { return kubetest.StartAPIServer(t) }

// customer is an operator's registry that wants a login.
type customer struct {
	*httptest.Server
	host    string
	writes  atomic.Int64
	refuses atomic.Bool // pushes
	denies  atomic.Pointer[func(*http.Request) bool]
}

func newCustomer(t *testing.T) *customer {
	t.Helper()
	c := &customer{}
	inner := registry.New(registry.WithReferrersSupport(true), registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)))
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "neo" || password != "zion" {
			w.Header().Set("WWW-Authenticate", `Basic realm="customer"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if denies := c.denies.Load(); denies != nil && *denies != nil && (*denies)(r) {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if c.refuses.Load() {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			c.writes.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	c.host = strings.TrimPrefix(c.URL, "http://")
	return c
}

// login writes a docker configuration and makes it the process's.
func login(t *testing.T, host, password string) {
	t.Helper()
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte("neo:" + password))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

func configure(t *testing.T, f store.Folder, assignments ...string) {
	t.Helper()
	if _, err := install.Configure(t.Context(), f, assignments, false, progress.New(io.Discard)); err != nil {
		t.Fatalf("Configure %q: %v", assignments, err)
	}
}

func TestPush(t *testing.T) {
	c := newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	progress := progress.New(io.Discard)
	result, err := install.Push(t.Context(), f, install.PushOptions{Progress: progress})
	if err != nil || result.Pushed != 2 {
		t.Fatalf("Push = %+v, %v; want 2 images pushed", result, err)
	}
	if want := c.host + "/team/satellite-" + satelliteID + "@" + m.plan.Algorithms[0].Image.Digest; result.Images[0].Destination != want {
		t.Errorf("destination %s, want %s", result.Images[0].Destination, want)
	}
	for _, image := range result.Images {
		ref, err := name.NewDigest(image.Destination)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Head(ref, remote.WithAuthFromKeychain(keychain{})); err != nil {
			t.Errorf("pull %s: %v", image.Destination, err)
		}
	}
	c.writes.Store(0)
	if result, err = install.Push(t.Context(), f, install.PushOptions{Progress: progress}); err != nil || result.Pushed != 0 || c.writes.Load() != 0 {
		t.Errorf("second Push = %+v, %v with %d writes; want none", result, err, c.writes.Load())
	}
	configure(t, f, "stage.registry.layout=per-image")
	if result, err = install.Push(t.Context(), f, install.PushOptions{Progress: progress}); err != nil || !strings.HasPrefix(result.Images[0].Destination, c.host+"/team/neo/hello@") {
		t.Errorf("per-image Push = %+v, %v", result, err)
	}
	login(t, c.host, "wrong")
	_, err = install.Push(t.Context(), f, install.PushOptions{Progress: progress})
	wantCode(t, err, fault.CodeAuth, "refuses the login")
}

// A login that is refused, or a registry that is away, is one problem however
// many repositories are behind it, and said without the chain of requests.
func TestDoctorSaysOnceWhatIsWrongWithTheRegistry(t *testing.T) {
	c := newCustomer(t)
	login(t, c.host, "wrong")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	for _, test := range []struct{ name, want string }{{"login", "refuses the login"}, {"away", "connection refused"}} {
		if test.name == "away" {
			c.Close()
		}
		_, err := install.Doctor(t.Context(), f, nil, progress.New(io.Discard))
		wantCode(t, err, fault.CodePreflight, test.want)
		if n := strings.Count(err.Error(), "✗ registry"); n != 1 || strings.Contains(err.Error(), "push check transport") {
			t.Errorf("%s: %d problems with the registry, want 1, shortened: %v", test.name, n, err)
		}
	}
}

func TestDeploy(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	key := newKey(t)
	m, f := newMother(t, key, 1, 5000), folder(t)
	mustGet(t, f, m.options())
	progress := progress.New(io.Discard)
	o := install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress}

	_, err := install.Deploy(t.Context(), f, o)
	wantCode(t, err, fault.CodeUsage, "configure stage.container_registry=… stage.kubernetes.kubeconfig_path=… stage.kubernetes.namespace=…")

	configure(t, f, "stage.container_registry="+c.host+"/team", ".stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=algorithms")
	c.refuses.Store(true)
	_, err = install.Deploy(t.Context(), f, o)
	wantCode(t, err, fault.CodePreflight, "registry", "namespace algorithms does not exist", "no ingress controller")
	c.refuses.Store(false)

	configure(t, f, "stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	dry := o
	dry.DryRun = true
	result, err := install.Deploy(t.Context(), f, dry)
	if err != nil || result.Pushed != 2 || len(result.Changes) < 15 {
		t.Fatalf("dry run = %+v, %v", result, err)
	}
	result, err = install.Deploy(t.Context(), f, o)
	if err != nil || result.Pushed != 2 || len(result.Changes) < 15 || len(result.Algorithms) != 1 {
		t.Fatalf("Deploy = %+v, %v", result, err)
	}
	manifests, err := filepath.Glob(f.Path("rendered", "*-deployment-algo-foo-bar-*.yaml"))
	if err != nil || len(manifests) != 1 {
		t.Errorf("rendered manifests: %q, %v", manifests, err)
	}
	c.writes.Store(0)
	result, err = install.Deploy(t.Context(), f, o)
	if err != nil || result.Pushed != 0 || len(result.Changes) != 0 {
		t.Fatalf("Deploy again = %+v, %v; want nothing to do", result, err)
	}
	status, err := install.Status(t.Context(), f)
	if err != nil || status.Wanted != 1 || status.Installed != 0 || len(status.Deployments) != 3 ||
		!strings.HasPrefix(strings.Join(status.Notes, "\n"), "the queue's storage is ephemeral") {
		t.Errorf("Status = %+v, %v", status, err)
	}
	wantCode(t, status.NotReady(), fault.CodeFailed, "3 of 3 parts are not ready: foo/bar, execution-engine, queue")

	deployWithEgress(t, f, o)

	// Nothing runs pods here: the wait has to end and say so.
	configure(t, f, "stage.replicas.foo/bar=3")
	o.NoWait, o.Timeout = false, 10*time.Second
	_, err = install.Deploy(t.Context(), f, o)
	wantCode(t, err, fault.CodeTimeout, "not ready after 10s", "algo-foo-bar-", ": 0 of 3 ready")
}

// deployWithEgress deploys lists of what an algorithm may reach: one with a name
// that nobody knows, and one that is said wherever somebody looks.
func deployWithEgress(t *testing.T, f store.Folder, o install.DeployOptions) {
	t.Helper()
	configure(t, f, "stage.egress.foo/bar=nonesuch.invalid:443")
	const unknown = "this machine cannot look up nonesuch.invalid: "
	_, err := install.Deploy(t.Context(), f, o)
	wantCode(t, err, fault.CodePreflight, "✗ egress: "+unknown)
	_, err = install.Diff(t.Context(), f, o.Progress)
	wantCode(t, err, fault.CodeNetwork, "stage.egress: "+unknown)
	_, err = install.Render(t.Context(), f, install.RenderOptions{Offline: true, Progress: o.Progress})
	wantCode(t, err, fault.CodeNetwork, "stage.egress: "+unknown)

	configure(t, f, "stage.egress.foo/bar=10.0.0.0/8:5432,[2001:db8::1]:443")
	const want = "[foo/bar reaches, by NetworkPolicy: 10.0.0.0/8:5432, [2001:db8::1]:443]"
	changed, err := install.Diff(t.Context(), f, o.Progress)
	if err != nil || fmt.Sprint(changed.Egress) != want || len(changed.Changes) != 1 || !strings.HasPrefix(changed.Changes[0].Object, "NetworkPolicy/algo-foo-bar") {
		t.Errorf("Diff = %+v, %v; want the NetworkPolicy alone and %s", changed, err, want)
	}
	result, err := install.Deploy(t.Context(), f, o)
	if err != nil || fmt.Sprint(result.Egress) != want || len(result.Changes) != 1 {
		t.Errorf("Deploy = %+v, %v; want one change and %s", result, err, want)
	}
	status, err := install.Status(t.Context(), f)
	if err != nil || fmt.Sprint(status.Egress) != want {
		t.Errorf("Status = %+v, %v; want %s", status, err, want)
	}
	checks, err := install.Doctor(t.Context(), f, nil, o.Progress)
	if err != nil || !slices.ContainsFunc(checks, func(c preflight.Check) bool { return c.Name == "egress" && "["+c.Message+"]" == want }) {
		t.Errorf("Doctor = %+v, %v; want %s", checks, err, want)
	}
}

// What the guide configures of the network and of metrics is taken.
func TestTheGuidesNetworkIsTaken(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	guide, err := os.ReadFile(filepath.Join("..", "..", "web", "docs", "guide", "03-deploying.md"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(guide)) {
		_, assignments, ok := strings.Cut(line, "LAUNCH_ID configure ")
		if !ok || !strings.HasPrefix(assignments, "stage.egress.") && !strings.HasPrefix(assignments, "stage.metrics.") {
			continue
		}
		configure(t, f, strings.Fields(strings.ReplaceAll(assignments, "fraud/score", "foo/bar"))...)
		tried++
	}
	if tried != 2 {
		t.Errorf("%d commands of the guide were tried, want one for egress and one for metrics", tried)
	}
}

func TestDeployCannotReachTheCluster(t *testing.T) {
	c := newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := install.Deploy(ctx, f, install.DeployOptions{Timeout: time.Minute, Progress: progress.New(io.Discard)})
	wantCode(t, err, fault.CodePreflight, "127.0.0.1:1", "does not answer")
}
