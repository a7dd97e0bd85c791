package install_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// bundleFiles returns the files of a support bundle.
func bundleFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is read
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "support/")] = string(data)
	}
}

// planted are secrets that a test puts wherever it can.
var planted = map[string]string{
	"admin key": "cst_0123456789abcdefghijABCDEFGHIJ01234567", "password": "correct-horse-battery", "variable": "staple-in-a-variable",
	"login": "dragon-in-a-url", "secret value": "swordfish-of-a-secret",
}

// plant puts secrets into a pod's environment and annotations and into events.
func plant(t *testing.T, kubeconfig string) {
	t.Helper()
	admin := adminOf(t, kubeconfig)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "neo", Labels: map[string]string{render.LabelLaunch: launchID}, Annotations: map[string]string{
		"example.com/note": "mirror https://neo:" + planted["login"] + "@registry.example/x", "kubectl.kubernetes.io/last-applied-configuration": planted["variable"]}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "algorithm", Image: "neo", Env: []corev1.EnvVar{
			{Name: "DB_PASSWORD", Value: planted["variable"]}, {Name: "MODE", Value: "harmless-mode"}}}}}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := admin.CoreV1().ServiceAccounts("algorithms").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CoreV1().Pods("algorithms").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e1"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "neo", Namespace: "algorithms"},
		Reason: "Failed", Type: "Warning", Message: "harmless-event \x1b[2J pull https://" + planted["login"] + "@x with " + planted["admin key"], LastTimestamp: metav1.Now()}
	if _, err := admin.CoreV1().Events("algorithms").Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A bundle has what helps to find a fault, and none of the secrets that stand in the
// launch, on the cluster, in events and in logs.
func TestSupportBundleHasNoSecrets(t *testing.T) {
	real, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	t.Setenv("ALGO_ADMIN_API_KEY", planted["admin key"])
	proxy := kubetest.NewProxy(t, real)
	m, f := newMother(t, newKey(t), 1, 5000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+proxy.Kubeconfig, "stage.kubernetes.namespace=algorithms",
		"stage.kubernetes.create_namespace=true", "stage.ingress.provider=none", "stage.ingress.annotations.example.com/token=token="+planted["password"])
	if _, err := install.Deploy(t.Context(), f, install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard)}); err != nil {
		t.Fatal(err)
	}
	plant(t, real)
	token := m.plan.Launch.Token + "-of-this-launch"
	patch := fmt.Appendf(nil, `{"stringData":{"extra":%q}}`, planted["secret value"])
	secrets, err := adminOf(t, real).CoreV1().Secrets("algorithms").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) == 0 {
		t.Fatalf("%d Secrets, %v", len(secrets.Items), err)
	}
	for _, secret := range secrets.Items {
		if _, err := adminOf(t, real).CoreV1().Secrets("algorithms").Patch(t.Context(), secret.Name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	proxy.Befall(func(_ int, r *http.Request) kubetest.Fault {
		if !strings.HasSuffix(r.URL.Path, "/pods/neo/log") {
			return nil
		}
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			fmt.Fprintf(w, "2026-01-02T03:04:05Z harmless-log \x1b[31m password=%s and %s and %s\n", planted["password"], planted["secret value"],
				base64.StdEncoding.EncodeToString([]byte(planted["secret value"])))
		}
	})
	path := filepath.Join(t.TempDir(), "support.tar.gz")
	result, err := install.SupportBundle(t.Context(), f, path, progress.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	files := bundleFiles(t, path)
	for _, name := range []string{"README.txt", "versions.json", "plan.json", "settings.json", "status.json", "doctor.json", "cluster/events.txt", "cluster/pods/neo.json",
		"logs/neo/algorithm.log", "cluster/objects/deployment-execution-engine.json", "cluster/objects/configmap-execution-engine.json"} {
		if files[name] == "" {
			t.Errorf("the bundle lacks %s; missing is %q", name, result.Missing)
		}
	}
	wantNoSecrets(t, files, append([]string{token, "bmVvOnppb24="}, base64Of(planted)...))
	all := fmt.Sprint(files)
	for _, want := range []string{"harmless-mode", "harmless-event", "harmless-log", `\\u001b[31m`, "[redacted]"} {
		if !strings.Contains(all, want) && !strings.Contains(all, strings.ReplaceAll(want, `\\`, `\`)) {
			t.Errorf("the bundle does not have %q", want)
		}
	}
}

// base64Of returns values as they are, and as Secrets have them.
func base64Of(values map[string]string) []string {
	var all []string
	for _, value := range values {
		all = append(all, value, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	return all
}

// wantNoSecrets fails for each file that has one, that a terminal would obey, or
// that is called JSON and is none.
func wantNoSecrets(t *testing.T, files map[string]string, secrets []string) {
	t.Helper()
	for name, text := range files {
		for _, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s has %q: %q", name, secret, text[max(0, i-60):min(len(text), i+60)])
			}
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s has an escape sequence", name)
		}
		if strings.HasSuffix(name, ".json") && !json.Valid([]byte(text)) {
			t.Errorf("%s is no JSON: %.200s", name, text)
		}
	}
}

// A cluster that does not answer leaves a bundle with the rest, which says so.
func TestSupportBundleWithoutACluster(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	path := filepath.Join(t.TempDir(), "support.tar.gz")
	result, err := install.SupportBundle(t.Context(), f, path, progress.New(io.Discard))
	if err != nil || !strings.Contains(strings.Join(result.Missing, "\n"), "cluster: not configured yet") {
		t.Fatalf("SupportBundle = %+v, %v", result, err)
	}
	files := bundleFiles(t, path)
	if files["plan.json"] == "" || files["settings.json"] == "" || !strings.Contains(files["README.txt"], "not configured yet") {
		t.Errorf("the bundle has %d files, and says %s", len(files), files["README.txt"])
	}
	wantNoSecrets(t, files, []string{m.plan.Launch.Token})
}
