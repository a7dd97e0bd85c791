package install_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// What is set is tried: a registry that is away or refuses the login, and a
// name that nobody knows, change nothing.
func TestConfigureTries(t *testing.T) {
	c := newCustomer(t)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	set := func(assignments ...string) error {
		_, err := install.Configure(t.Context(), f, assignments, true, progress.New(io.Discard))
		return err
	}
	login(t, c.host, "wrong")
	wantCode(t, set("stage.container_registry="+c.host+"/team"), fault.CodeAuth, "refuses the login", "nothing was changed", "--no-check", "docker login "+c.host)
	wantCode(t, set("stage.container_registry=127.0.0.1:1/team"), fault.CodeNetwork, "connection refused", "nothing was changed")
	wantCode(t, set("stage.fqdn=mothership.invalid:8080"), fault.CodeNetwork, `does not know the name "mothership.invalid"`)
	if _, err := os.Stat(f.Path("config.yaml")); err == nil {
		t.Error("a refused setting wrote config.yaml")
	}
	login(t, c.host, "zion")
	for _, assignment := range []string{"stage.container_registry=" + c.host + "/team", "stage.fqdn=http://localhost:8080/", "stage.fqdn=[::1]:8080"} {
		if err := set(assignment); err != nil {
			t.Errorf("%s: %v", assignment, err)
		}
	}
	if c.writes.Load() != 0 {
		t.Errorf("trying the login wrote to the registry %d times", c.writes.Load())
	}
	configure(t, f, "stage.kubernetes.kubeconfig_path=/somewhere/else/kube.conf") // without a try
}

func TestConfigureSaysWhereValuesComeFrom(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.ingress.provider=nginx")
	result, err := install.Configure(t.Context(), f, nil, true, progress.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range result.Values {
		if slices.Contains([]string{"stage.container_registry", "stage.kubernetes.context", "stage.fqdn", "stage.ingress.class", "stage.ingress.provider", "stage.profile"}, v.Key) {
			got[v.Key] = v.State + " from " + v.From + ": " + v.Value
		}
	}
	want := map[string]string{
		"stage.container_registry": "missing from : ",
		"stage.kubernetes.context": "default from the kubeconfig: here",
		"stage.fqdn":               "default from the launch's plan: https://mothership.example.com",
		"stage.ingress.class":      "default from stage.ingress.provider: nginx",
		"stage.ingress.provider":   "set from config.yaml: nginx",
		"stage.profile":            "default from default: ha",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

// A credential plugin that is not there is named before anything is asked.
func TestConfigureNamesAMissingPlugin(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	path := filepath.Join(t.TempDir(), "kubeconfig")
	const text = `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-authenticator, interactiveMode: Never, installHint: get it from your admin}}}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := install.Configure(t.Context(), f, []string{"stage.kubernetes.kubeconfig_path=" + path}, true, progress.New(io.Discard))
	wantCode(t, err, fault.CodeUsage, `"no-such-authenticator"`, "not installed", "get it from your admin", path)
	if _, err := install.Configure(t.Context(), f, []string{"stage.kubernetes.kubeconfig_path=" + path}, false, progress.New(io.Discard)); err != nil {
		t.Errorf("with --no-check, on a machine that does not deploy: %v", err)
	}
}

// A kubeconfig may be a list as in KUBECONFIG, each of its files made absolute,
// and what can never work is refused when it is set.
func TestConfigureTakesAListOfKubeconfigs(t *testing.T) {
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	here := anyKubeconfig(t)
	t.Chdir(filepath.Dir(here))
	more := filepath.Join(t.TempDir(), "more")
	if err := os.WriteFile(more, []byte("apiVersion: v1\nkind: Config\nusers: [{name: old, user: {auth-provider: {name: gcp}}}]\ncontexts: [{name: old, context: {cluster: c, user: old}}]\nclusters: [{name: c, cluster: {server: \"https://127.0.0.1:1\"}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := install.Configure(t.Context(), f, []string{"stage.kubernetes.kubeconfig_path=" + filepath.Base(here) + ":not-there:" + more}, true, progress.New(io.Discard))
	if err != nil || result.Set[0].Value != here+":"+more {
		t.Fatalf("Configure = %+v, %v; want %s:%s", result, err, here, more)
	}
	_, err = install.Configure(t.Context(), f, []string{"stage.kubernetes.context=old"}, true, progress.New(io.Discard))
	wantCode(t, err, fault.CodeUsage, "auth-provider", "gke-gcloud-auth-plugin", "nothing was changed")
	_, err = install.Configure(t.Context(), f, []string{"stage.kubernetes.kubeconfig_path=/none:/nothing"}, true, progress.New(io.Discard))
	wantCode(t, err, fault.CodeUsage, "/none:/nothing", "cannot be read")
}

func TestIgnoreKnowsItsChecks(t *testing.T) {
	c := newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	_, err := install.Doctor(t.Context(), f, []string{"room for pod"}, progress.New(io.Discard))
	wantCode(t, err, fault.CodeUsage, `no check "room for pod"`, `"room for pods"`)
}
