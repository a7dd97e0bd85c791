package install_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// carried is a launch's folder as it was copied to another place.
func carried(t *testing.T, f store.Folder) store.Folder {
	t.Helper()
	there := folder(t)
	if err := os.CopyFS(there.Path(), os.DirFS(f.Path())); err != nil {
		t.Fatal(err)
	}
	return there
}

// copyOf is carried, with its key confirmed and its configuration taken.
func copyOf(t *testing.T, f store.Folder, m *mother) store.Folder {
	t.Helper()
	there, progress := carried(t, f), progress.New(io.Discard)
	if _, err := install.Verify(t.Context(), there, m.bundle.Signature.KeyID, progress); err != nil {
		t.Fatal(err)
	}
	if err := install.AcceptConfig(t.Context(), there, progress); err != nil {
		t.Fatal(err)
	}
	return there
}

// Pushes at once, two of one folder and one of a copy of it: each succeeds,
// and of one folder the second waits and then has nothing to do.
func TestPushesAtOnce(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 300_000)
	there := copyOf(t, f, m)
	var said waittest.Buffer
	results, errs := make(chan *install.PushResult, 3), make(chan error, 3)
	for _, from := range []store.Folder{f, f, there} {
		go func() {
			o := pushOptions()
			o.Progress = progress.New(&said)
			result, err := install.Push(t.Context(), from, o)
			results <- result
			errs <- err
		}()
	}
	idle := 0 // pushes that found all there
	for range 3 {
		if err := waittest.Receive(t, "the end of one", errs); err != nil {
			t.Fatal(err)
		}
		if result := waittest.Receive(t, "a result", results); result.Pushed == 0 {
			idle++
		}
	}
	if !strings.Contains(said.String(), "'push' by process") || idle == 0 {
		t.Errorf("%d pushes found all there; said %q", idle, said.String())
	}
	wantPulled(t, mustPush(t, f, pushOptions()))
}

// Deploys at once from one folder wait for each other. From two folders of a
// launch with other settings each ends well or says what is in its way, and
// the next deploy brings its own settings whole.
func TestDeploysAtOnce(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 5000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig,
		"stage.kubernetes.namespace=algorithms", "stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	there := copyOf(t, f, m)
	configure(t, f, "stage.replicas.foo/bar=3")
	configure(t, there, "stage.replicas.foo/bar=4")
	deploy := func(from store.Folder) error {
		_, err := install.Deploy(t.Context(), from, install.DeployOptions{NoWait: true, Timeout: time.Minute, RetryTimeout: time.Minute, Progress: progress.New(io.Discard)})
		return err
	}
	for range 3 {
		errs := make(chan error, 3)
		for _, from := range []store.Folder{f, f, there} {
			go func() { errs <- deploy(from) }()
		}
		for range 3 {
			if err := waittest.Receive(t, "the end of one", errs); err != nil {
				wantCode(t, err, fault.CodeFailed, "run the deploy again")
			}
		}
	}
	for replicas, from := range map[int32]store.Folder{3: f, 4: there} {
		if err := deploy(from); err != nil {
			t.Fatalf("the next deploy: %v", err)
		}
		if got := replicasOf(t, kubeconfig); got != replicas {
			t.Errorf("%d replicas are wanted on the cluster, and %d are configured", got, replicas)
		}
	}
}

// replicasOf returns the replicas of the launch's one algorithm.
func replicasOf(t *testing.T, kubeconfig string) int32 {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := admin.AppsV1().Deployments("algorithms").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Items {
		if strings.HasPrefix(d.Name, "algo-foo-bar") {
			return *d.Spec.Replicas
		}
	}
	t.Fatalf("no Deployment of foo/bar among %d", len(list.Items))
	return 0
}

func TestTwoGetsAtOnce(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 300_000), folder(t)
	var said waittest.Buffer
	errs := make(chan error)
	for range 2 {
		go func() {
			o := m.options()
			o.Progress = progress.New(&said)
			_, err := install.Get(t.Context(), f, o)
			errs <- err
		}()
	}
	for range 2 {
		if err := waittest.Receive(t, "the end of one", errs); err != nil {
			t.Error(err)
		}
	}
	if fetched := m.blobRequests(); fetched != 1 {
		t.Errorf("the largest layer was fetched %d times, want once; said %q", fetched, said.String())
	}
}
