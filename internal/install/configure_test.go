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
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
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
		{"min above max", []string{"stage.replicas.foo/bar=10..2"}, []string{"10 is above 2", "did you mean 2..10"}},
		{"no most", []string{"stage.replicas.foo/bar=2.."}, []string{"MIN..MAX"}},
		{"queue", []string{"stage.queue=onn"}, []string{`did you mean "on"`}},
		{"storage", []string{"stage.queue.storage=persistnt"}, []string{`did you mean "persistent"`}},
		{"storage key", []string{"stage.queue.storag=auto"}, []string{"did you mean stage.queue.storage"}},
		{"storage class", []string{"stage.queue.storage_class=Fast SSD"}, []string{"kubectl get storageclass"}},
		{"small queue", []string{"stage.queue.size=1Mi"}, []string{"64Mi to 16Ti"}},
		{"keep", []string{"stage.queue.keep=1y"}, []string{"1m to 30d"}},
		{"long keep", []string{"stage.queue.keep=31d"}, []string{"1m to 30d"}},
		{"share", []string{"stage.queue.share=100%"}, []string{"1% to 90%"}},
		{"callbacks", []string{"stage.callbacks.allow=hooks.example,http://x"}, []string{`not "http://x"`}},
		{"none and others", []string{"stage.callbacks.allow=none,hooks.example"}, []string{"none alone"}},
		{"weights", []string{"stage.weights.mount=imag"}, []string{`did you mean "image"`}},
		{"node's folder", []string{"stage.weights.cache=hostPath:/models"}, []string{"restricted Pod Security"}},
		{"no claim", []string{"stage.weights.cache=pvc:My_Claim"}, []string{`not "My_Claim"`}},
		{"no audience", []string{"stage.auth.jwt.audience=a,,b"}, []string{"their aud"}},
		{"keys by http", []string{"stage.auth.jwt.jwks=http://login.example.com/keys"}, []string{"https URL"}},
		{"a rule without an algorithm", []string{"stage.auth.client_allow=robot.example"}, []string{"NAME=ALGORITHM"}},
		{"a rule for half a name", []string{"stage.auth.client_allow=robot.example=foo/b*"}, []string{"NAME=ALGORITHM"}},
		{"leeway", []string{"stage.auth.jwt.leeway=1h"}, []string{"0s to 600s"}},
		{"many replicas", []string{"stage.replicas.foo/bar=1001"}, []string{"0 to 1000"}},
		{"unknown vanity URL", []string{"stage.replicas.foo/baz=1"}, []string{"foo/baz", "it has foo/bar"}},
		{"quantity", []string{"stage.resources.foo/bar.memory=lots"}, []string{"lots"}},
		{"gpu", []string{"stage.resources.foo/bar.gpu=half"}, []string{"half"}},
		{"variable", []string{"stage.env.foo/bar.A-B=x"}, []string{"letters, digits and '_'"}},
		{"variable of none", []string{"stage.env.foo/baz.A=x"}, []string{"foo/baz", "it has foo/bar"}},
		{"variable without its name", []string{"stage.env.foo/bar=x"}, []string{"did you mean stage.env.<vanity>.<variable>"}},
		{"the platform's variable", []string{"stage.env.foo/bar.ALGORITHMIA_API=x"}, []string{"reserved"}},
		{"JSON", []string{`stage.env.foo/bar.A="x`}, []string{"no JSON string"}},
		{"from", []string{"stage.env_from.foo/bar.A=hub/token"}, []string{"secret:NAME/KEY"}},
		{"the launch's own", []string{"stage.env_from.foo/bar.A=secret:execution-engine/token"}, []string{"the satellite's own"}},
		{"volume", []string{"stage.volumes.foo/bar.shm=emty:1Gi:/dev/shm"}, []string{"pvc:CLAIM:/path"}},
		{"mount path", []string{"stage.volumes.foo/bar.out=empty:/tmp/algoout"}, []string{"algorithms answer through it"}},
		{"a volume's name", []string{"stage.volumes.foo/bar.Out=empty:/out"}, []string{"lower-case"}},
		{"volumes that overlap", []string{"stage.volumes.foo/bar.a=empty:/out", "stage.volumes.foo/bar.b=empty:/out/b"}, []string{"overlap", "nothing was changed"}},
		{"two values", []string{"stage.env.foo/bar.A=x", "stage.env_from.foo/bar.A=secret:hub/token"}, []string{"has a value in env already", "nothing was changed"}},
		{"a secret that is plain", []string{"stage.secrets.foo/bar.A=hunter2"}, []string{"configure --secret stage.env."}},
		{"a secret that has a value", []string{"stage.secrets.foo/bar.A=typed", "stage.env.foo/bar.A=x"}, []string{"A of foo/bar is a secret here"}},
		{"all or nothing", []string{"stage.fqdn=good.example.com", "stage.profile=huge"}, []string{"nothing was changed"}},
		{"two wrong", []string{"stage.profile=huge", "stage.heartbeat=maybe"}, []string{"stage.profile", "stage.heartbeat"}},
	}
	for _, test := range tests {
		_, err := install.Configure(t.Context(), f, test.assignments, true, progress.New(io.Discard))
		if err == nil {
			t.Errorf("%s: Configure %q succeeded", test.name, test.assignments)
			continue
		}
		wantCode(t, err, fault.CodeUsage, test.texts...)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v repeats what may be a secret", test.name, err)
		}
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
	configure(t, f, "stage.heartbeat=off", "stage.replicas.foo/bar=3", "stage.resources.foo/bar.memory=2Gi", "stage.resources.engine.memory=512Mi", "stage.ingress.annotations.example.com/a.b=true")
	want := map[string]string{
		"stage.container_registry":                  "registry.example.com:5000/team",
		"stage.kubernetes.kubeconfig_path":          kubeconfig,
		"stage.heartbeat":                           "off",
		"stage.replicas.foo/bar":                    "3",
		"stage.resources.foo/bar.memory":            "2Gi",
		"stage.resources.engine.memory":             "512Mi",
		"stage.ingress.annotations.example.com/a.b": "true",
		"stage.ingress.provider":                    "generic",
	}
	values, err := install.Configure(t.Context(), f, nil, false, progress.New(io.Discard))
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

func TestConfigureTheQueue(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	shown := func() map[string]settings.Value {
		values, err := install.Configure(t.Context(), f, nil, false, progress.New(io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]settings.Value{}
		for _, v := range values.Values {
			got[v.Key] = v
		}
		return got
	}
	for key, want := range map[string]string{
		"stage.queue": "on", "stage.queue.storage": "auto", "stage.queue.size": "10Gi", "stage.queue.keep": "24h", "stage.queue.share": "20%", "stage.queue.retry_timeouts": "off", "stage.callbacks.allow": "none",
		"stage.weights.mount": "auto", "stage.weights.cache": "none",
	} {
		if v := shown()[key]; v.Value != want || v.State != "default" {
			t.Errorf("%s is %+v, want the default %s", key, v, want)
		}
	}
	configure(t, f, "stage.queue=off", "stage.queue.storage=persistent", "stage.queue.storage_class=fast", "stage.queue.size=2Gi", "stage.queue.keep=7d", "stage.queue.share=30", "stage.queue.retry_timeouts=on",
		"stage.callbacks.allow=Hooks.Example, 10.1.2.3/8", "stage.replicas.foo/bar=2..10", "stage.resources.queue.memory=1Gi")
	want := map[string]string{
		"stage.queue": "off", "stage.queue.storage": "persistent", "stage.queue.storage_class": "fast", "stage.queue.size": "2Gi", "stage.queue.keep": "7d",
		"stage.queue.share": "30%", "stage.queue.retry_timeouts": "on", "stage.callbacks.allow": "hooks.example,10.0.0.0/8", "stage.replicas.foo/bar": "2..10", "stage.resources.queue.memory": "1Gi",
	}
	for key, value := range want {
		if v := shown()[key]; v.Value != value || v.State != "set" {
			t.Errorf("%s is %+v, want %s", key, v, value)
		}
	}
	configure(t, f, "stage.queue=on", "stage.replicas.foo/bar=3")
	if got := shown(); got["stage.queue"].Value != "on" || got["stage.queue.storage"].Value != "persistent" || got["stage.replicas.foo/bar"].Value != "3" {
		t.Errorf("turned on: %+v", got)
	}
	configure(t, f, "stage.queue=", "stage.queue.storage=")
	if got := shown(); got["stage.queue"].State != "default" || got["stage.queue.storage"].State != "default" || got["stage.queue.size"].Value != "2Gi" {
		t.Errorf("taken back: %+v", got)
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
		result, err := install.Configure(t.Context(), f, assignments, false, progress.New(io.Discard))
		if err != nil {
			t.Fatalf("Configure %q: %v", assignments, err)
		}
		return result
	}
	got := set(".stage.container_registry=registry.example.com/team", "stage.replicas.foo/bar=3", "stage.replicas.foo/bar=4")
	want := []settings.Value{
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
