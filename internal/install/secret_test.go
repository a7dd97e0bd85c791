package install_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// A secret goes straight into the cluster: it is in no file of the launch, in no
// output and no error, rolls the pods when it changes, outlives deploys, and goes
// with the last that used it, or with the launch.
func TestSecrets(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	var out bytes.Buffer
	report := progress.New(&out)
	const key, value = "stage.env.foo/bar.TOKEN", "hunter2\nand a line $(HOME)"
	put := func(value []byte) (*install.Secret, error) {
		return install.ConfigureSecret(t.Context(), f, key, value, report)
	}

	_, err := put([]byte(value))
	wantCode(t, err, fault.CodeUsage, "goes straight into the cluster", "stage.kubernetes.kubeconfig_path")
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=secret-keeping", "stage.ingress.provider=none", "stage.queue=off")
	_, err = put([]byte(value))
	wantCode(t, err, fault.CodePreflight, "namespace secret-keeping does not exist", "nothing was changed")
	configure(t, f, "stage.kubernetes.create_namespace=true")
	for _, bad := range []string{"hunter2\x00", "hunter2\xff", "hunter2" + strings.Repeat("x", 1<<20)} {
		_, err := put([]byte(bad))
		wantCode(t, err, fault.CodeUsage, key, "nothing was changed")
		out.WriteString(err.Error())
	}
	for _, bad := range []string{"stage.env.foo/baz.TOKEN", "stage.fqdn", "stage.env.foo/bar.ALGORITHMIA_API"} {
		_, err := install.ConfigureSecret(t.Context(), f, bad, []byte(value), report)
		wantCode(t, err, fault.CodeUsage, "nothing was changed")
		out.WriteString(err.Error())
	}

	secret, err := put([]byte(value))
	if err != nil || !secret.Changed || secret.Namespace != "secret-keeping" {
		t.Fatalf("ConfigureSecret = %+v, %v", secret, err)
	}
	admin := adminOf(t, kubeconfig)
	inCluster := func() map[string][]byte {
		t.Helper()
		got, err := admin.CoreV1().Secrets("secret-keeping").Get(t.Context(), render.SecretsName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Data
	}
	at := render.SecretKey("foo/bar", "TOKEN")
	if got := string(inCluster()[at]); got != value {
		t.Errorf("the cluster has %q, want %q", got, value)
	}
	o := install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: report}
	deployed := func() string {
		t.Helper()
		result, err := install.Deploy(t.Context(), f, o)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%+v", result)
		manifests, err := filepath.Glob(f.Path("rendered", "*-deployment-algo-foo-bar-*.yaml"))
		if err != nil || len(manifests) != 1 {
			t.Fatalf("manifests = %q, %v", manifests, err)
		}
		return filepath.Base(manifests[0])
	}
	first := deployed()
	if secret, err = put([]byte(value)); err != nil || secret.Changed || deployed() != first {
		t.Errorf("the same value again = %+v, %v; want nothing to change", secret, err)
	}
	if secret, err = put([]byte("hunter2-two")); err != nil || !secret.Changed || deployed() == first {
		t.Errorf("another value = %+v, %v; want other pods", secret, err)
	}
	if got := string(inCluster()[at]); got != "hunter2-two" {
		t.Errorf("after the deploy the cluster has %q", got)
	}
	_, err = install.Configure(t.Context(), f, []string{key + "=plain"}, false, report)
	wantCode(t, err, fault.CodeUsage, "TOKEN of foo/bar is a secret here")

	// A cluster that lacks the value is told of it before anything is done.
	if err := admin.CoreV1().Secrets("secret-keeping").Delete(t.Context(), render.SecretsName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if check := checkOf(t, f, "variables and volumes"); check.State != preflight.Problem || !strings.Contains(check.Message, key) || !strings.Contains(check.Fix, "configure --secret "+key+" -") {
		t.Errorf("without the value: %+v", check)
	}
	if _, err := put([]byte("hunter2-three")); err != nil {
		t.Fatal(err)
	}
	deployed()
	nowhere(t, f.Root, "hunter2")
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the output has the secret")
	}

	removal := install.RemoveOptions{Confirm: func(*install.RemoveResult) (bool, error) { return true, nil }, NoWait: true, Timeout: time.Minute, Progress: report}
	if _, err := install.Remove(t.Context(), f, removal); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CoreV1().Secrets("secret-keeping").Get(t.Context(), render.SecretsName, metav1.GetOptions{}); err == nil {
		t.Error("the secret outlives its launch")
	}
	if _, err := put([]byte(value)); err != nil { // typed, and never deployed
		t.Fatal(err)
	}
	if removed, err := install.Remove(t.Context(), f, removal); err != nil || len(removed.Objects) != 1 {
		t.Errorf("Remove before a deploy = %+v, %v; want the secret gone", removed, err)
	}
}

// nowhere fails when a file below a folder has a text.
func nowhere(t *testing.T, folder, text string) {
	t.Helper()
	looked := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if looked++; bytes.Contains(data, []byte(text)) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil || looked < 10 {
		t.Errorf("looked at %d files of %s, %v", looked, folder, err)
	}
}
