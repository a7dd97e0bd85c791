package install_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install"
)

// keychain is the customer's login.
type keychain struct{}

func (keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "neo", Password: "zion"}, nil
}

// anyKubeconfig is one of a cluster that does not answer.
func anyKubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	err := os.WriteFile(path, []byte(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: here, context: {cluster: c, user: u}}, {name: there, context: {cluster: c, user: u}}]
current-context: here
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	kubeconfig := anyKubeconfig(t)
	tests := []struct {
		name        string
		assignments []string
		texts       []string
	}{
		{"no value", []string{"stage.fqdn"}, []string{"KEY=VALUE"}},
		{"unknown key", []string{"stage.container_registri=a.b/c"}, []string{"did you mean stage.container_registry"}},
		{"empty and required", []string{"stage.container_registry="}, []string{"cannot be empty"}},
		{"URL", []string{"stage.container_registry=https://a.b/c"}, []string{"write a.b/c"}},
		{"no host", []string{"stage.container_registry=team/x"}, []string{`"team" is none`}},
		{"upper case", []string{"stage.container_registry=a.b:5000/Team"}, []string{"a.b:5000/team"}},
		{"spaces", []string{"stage.container_registry=a.b/c d"}, []string{"host[:port]/path"}},
		{"no file", []string{"stage.kubernetes.kubeconfig_path=/nonesuch"}, []string{"/nonesuch"}},
		{"no kubeconfig", []string{"stage.kubernetes.kubeconfig_path=" + f.Path("launch.json")}, []string{"kubeconfig"}},
		{"context", []string{"stage.kubernetes.kubeconfig_path=" + kubeconfig, "stage.kubernetes.context=nowhere"}, []string{`no context "nowhere"`, "here, there"}},
		{"namespace", []string{"stage.kubernetes.namespace=My_Space"}, []string{"My_Space"}},
		{"bool", []string{"stage.kubernetes.create_namespace=perhaps"}, []string{"true or false"}},
		{"fqdn", []string{"stage.fqdn=foo bar"}, []string{"host[:port]"}},
		{"provider", []string{"stage.ingress.provider=ngnix"}, []string{`did you mean "nginx"`}},
		{"host", []string{"stage.ingress.host=https://x.y"}, []string{"no scheme"}},
		{"pull secret", []string{"stage.registry.pull_secret=existing:"}, []string{"existing:NAME"}},
		{"replicas", []string{"stage.replicas.foo/bar=-1"}, []string{"0 to 1000"}},
		{"many replicas", []string{"stage.replicas.foo/bar=1001"}, []string{"0 to 1000"}},
		{"unknown vanity URL", []string{"stage.replicas.foo/baz=1"}, []string{"foo/baz", "it has foo/bar"}},
		{"quantity", []string{"stage.resources.foo/bar.memory=lots"}, []string{"lots"}},
		{"gpu", []string{"stage.resources.foo/bar.gpu=half"}, []string{"half"}},
		{"all or nothing", []string{"stage.fqdn=good.example.com", "stage.profile=huge"}, []string{"nothing was changed"}},
		{"two wrong", []string{"stage.profile=huge", "stage.heartbeat=maybe"}, []string{"stage.profile", "stage.heartbeat"}},
	}
	for _, test := range tests {
		_, err := install.Configure(t.Context(), f, test.assignments, true, install.NewProgress(io.Discard))
		if err == nil {
			t.Errorf("%s: Configure %q succeeded", test.name, test.assignments)
			continue
		}
		wantCode(t, err, install.CodeUsage, test.texts...)
	}
	if _, err := os.Stat(f.Path("config.yaml")); err == nil {
		t.Error("a refused value was written")
	}
}

func TestConfigureSetsAndShows(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	kubeconfig := anyKubeconfig(t)
	configure(t, f, "stage.container_registry=registry.example.com:5000/team/", ".stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=algorithms")
	configure(t, f, "stage.heartbeat=off", "stage.replicas.foo/bar=3", "stage.resources.foo/bar.memory=2Gi", "stage.ingress.annotations.example.com/a.b=true")
	want := map[string]string{
		"stage.container_registry":                  "registry.example.com:5000/team",
		"stage.kubernetes.kubeconfig_path":          kubeconfig,
		"stage.heartbeat":                           "off",
		"stage.replicas.foo/bar":                    "3",
		"stage.resources.foo/bar.memory":            "2Gi",
		"stage.ingress.annotations.example.com/a.b": "true",
		"stage.ingress.provider":                    "generic",
	}
	values, err := install.Configure(t.Context(), f, nil, false, install.NewProgress(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range values.Values {
		got[v.Key] = v.Value
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s = %q, want %q", key, got[key], value)
		}
	}
}

func TestConfigureKeepsComments(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.fqdn=one.example.com")
	path := f.Path("config.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("# ask Trinity\n"+strings.Replace(string(data), "one.example.com", "one.example.com # for now", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	configure(t, f, "stage.fqdn=two.example.com", "stage.profile=edge")
	data, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# ask Trinity", "fqdn: two.example.com # for now", "profile: edge"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("config.yaml has no %q:\n%s", want, data)
		}
	}
	configure(t, f, "stage.fqdn=")
	if data, err = os.ReadFile(path); err != nil || strings.Contains(string(data), "fqdn") {
		t.Errorf("stage.fqdn= left it in config.yaml, %v:\n%s", err, data)
	}
}

func TestConfigureSaysWhatItSetAndWhatIsNeeded(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	set := func(assignments ...string) *install.Configured {
		t.Helper()
		result, err := install.Configure(t.Context(), f, assignments, false, install.NewProgress(io.Discard))
		if err != nil {
			t.Fatalf("Configure %q: %v", assignments, err)
		}
		return result
	}
	got := set(".stage.container_registry=registry.example.com/team", "stage.replicas.foo/bar=3", "stage.replicas.foo/bar=4")
	want := []install.Value{
		{Key: "stage.container_registry", Value: "registry.example.com/team", State: "set", From: "config.yaml"},
		{Key: "stage.replicas.foo/bar", Value: "4", State: "set", From: "config.yaml"},
	}
	if diff := cmp.Diff(want, got.Set); diff != "" {
		t.Errorf("what was set (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"stage.kubernetes.kubeconfig_path", "stage.kubernetes.namespace"}, got.Needed); diff != "" {
		t.Errorf("what is needed (-want +got):\n%s", diff)
	}
	got = set("stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms", "stage.replicas.foo/bar=")
	if len(got.Needed) != 0 || len(got.Set) != 3 || got.Set[2].State == "set" {
		t.Errorf("Configure = %+v, want nothing needed and the replicas taken back", got)
	}
}
