package install_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// checkOf returns the check of a name that a doctor noted.
func checkOf(t *testing.T, f store.Folder, name string) preflight.Check {
	t.Helper()
	checks, _ := install.Doctor(t.Context(), f, nil, progress.New(io.Discard)) // problems are what is looked for
	i := slices.IndexFunc(checks, func(c preflight.Check) bool { return c.Name == name })
	if i < 0 {
		return preflight.Check{}
	}
	return checks[i]
}

func adminOf(t *testing.T, kubeconfig string) kubernetes.Interface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

// Each way by which pods would get no login that the registry takes is found
// before a deploy, with a mend; and with the mend it is found no more.
func TestPullSecretsAreTried(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=pulling",
		"stage.ingress.provider=none", "stage.registry.pull_secret=none")
	want := func(state preflight.State, says ...string) {
		t.Helper()
		got := checkOf(t, f, "pull secret")
		for _, text := range append(says, "") {
			if got.State != state || !strings.Contains(got.Message+" → "+got.Fix, text) {
				t.Fatalf("pull secret: %+v, want %s with %q", got, state, text)
			}
		}
	}
	want(preflight.Warning, "wants a login", "docker login "+c.host, "stage.registry.pull_secret=create")

	configure(t, f, "stage.registry.pull_secret=existing:mine", "stage.kubernetes.create_namespace=true")
	create := "kubectl --namespace pulling create secret docker-registry mine --docker-server=" + c.host
	want(preflight.Problem, "there is no Secret mine in namespace pulling", "kubectl create namespace pulling && "+create)
	admin := adminOf(t, kubeconfig)
	if _, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pulling"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	want(preflight.Problem, "'"+create, "stage.registry.pull_secret=create")
	for _, test := range []struct {
		name   string
		secret corev1.Secret
		state  preflight.State
		says   string
	}{
		{"another type", corev1.Secret{Type: corev1.SecretTypeOpaque, StringData: map[string]string{"password": "x"}}, preflight.Problem, "not of the type"},
		{"another registry", dockerSecret("registry.example.com", "neo:zion"), preflight.Problem, "has no login for " + c.host},
		{"another password", dockerSecret(c.host, "neo:smith"), preflight.Problem, "refuses the login"},
		{"the right one", dockerSecret(c.host, "neo:zion"), preflight.OK, "takes"},
	} {
		test.secret.Name = "mine"
		if _, err := admin.CoreV1().Secrets("pulling").Create(t.Context(), &test.secret, metav1.CreateOptions{}); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		want(test.state, test.says)
		if err := admin.CoreV1().Secrets("pulling").Delete(t.Context(), "mine", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func dockerSecret(host, login string) corev1.Secret {
	return corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(login)))}}
}

// A launch that goes elsewhere leaves its old installation running: configure,
// doctor, deploy and status say so, with the commands that remove it, until it
// is removed.
func TestTheOldInstallationIsTold(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	deployed(t, m, f, c.host+"/team", kubeconfig, "old")
	notes := func() string {
		t.Helper()
		status, err := install.Status(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		// There is no StorageClass here, which is told too.
		return strings.Join(slices.DeleteFunc(status.Notes, func(note string) bool { return strings.HasPrefix(note, "the queue's storage is ephemeral") }), "\n")
	}
	if told := notes(); told != "" {
		t.Errorf("status of the only installation notes %q", told)
	}
	var said waittest.Buffer
	progress := progress.New(&said)
	if _, err := install.Configure(t.Context(), f, []string{"stage.kubernetes.namespace=new"}, false, progress); err != nil {
		t.Fatal(err)
	}
	command := "algo-install satellite " + satelliteID + " " + launchID
	wants := []string{"was deployed to namespace old of ", command + " configure stage.kubernetes.namespace=old", command + " remove", "stage.kubernetes.namespace=new"}
	for _, text := range wants {
		if !strings.Contains(said.String(), text) {
			t.Errorf("configure says %q, want %q", said.String(), text)
		}
	}
	if check := checkOf(t, f, "elsewhere"); check.State != preflight.Warning || !strings.Contains(check.Message, wants[0]) {
		t.Errorf("doctor: %+v, want a warning of namespace old", check)
	}
	if _, err := install.Deploy(t.Context(), f, install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "! elsewhere: this launch was deployed to namespace old") || !strings.Contains(notes(), wants[1]) {
		t.Errorf("deploy and status do not tell of namespace old: %q, %q", said.String(), notes())
	}
	configure(t, f, "stage.kubernetes.namespace=old")
	if _, err := install.Remove(t.Context(), f, install.RemoveOptions{NoWait: true, Timeout: time.Minute, Progress: progress, Confirm: func(*install.RemoveResult) (bool, error) { return true, nil }}); err != nil {
		t.Fatal(err)
	}
	configure(t, f, "stage.kubernetes.namespace=new")
	if told := notes(); told != "" {
		t.Errorf("status notes %q after the old installation was removed", told)
	}

	// One that went by other means is looked for, and forgotten.
	configure(t, f, "stage.kubernetes.namespace=old")
	if told := notes(); !strings.Contains(told, "namespace new") {
		t.Fatalf("status notes %q, want namespace new", told)
	}
	if err := adminOf(t, kubeconfig).CoreV1().ConfigMaps("new").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if told := notes(); told != "" {
		t.Errorf("status notes %q of an installation that is gone", told)
	}
}

// A stage.fqdn at which no mothership answers is told by configure, doctor and
// status, and keeps nothing from being set or deployed.
func TestAnUnreachableMothershipIsTold(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	deployed(t, m, f, c.host+"/team", kubeconfig, "reporting")
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(there.Close)
	moved := httptest.NewServer(http.RedirectHandler("https://mothership.example.com/login", http.StatusFound))
	t.Cleanup(moved.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for _, test := range []struct{ fqdn, says string }{
		{"http://127.0.0.1:1", "connection refused"},
		{moved.URL, "sends requests on to https://mothership.example.com/login"},
		{other.URL, "no mothership"},
		{there.URL, ""},
	} {
		var said waittest.Buffer
		if _, err := install.Configure(t.Context(), f, []string{"stage.fqdn=" + test.fqdn}, true, progress.New(&said)); err != nil {
			t.Fatal(err)
		}
		status, err := install.Status(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		check := checkOf(t, f, "mothership")
		for verb, told := range map[string]string{"configure": said.String(), "status": strings.Join(status.Notes, "\n"), "doctor": check.Message} {
			if test.says == "" && strings.Contains(told, "stage.fqdn") || test.says != "" && (!strings.Contains(told, "stage.fqdn") || !strings.Contains(told, test.says)) {
				t.Errorf("%s: %s says %q, want %q", test.fqdn, verb, told, test.says)
			}
		}
		if check.State == preflight.Problem {
			t.Errorf("%s: %+v stops a deploy", test.fqdn, check)
		}
	}
}
