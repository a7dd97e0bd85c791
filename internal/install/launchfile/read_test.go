package launchfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install/launchfile"
)

// environment is what the tests' variables are.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"REGION": "eu-1", "EMPTY": "", "NESTED": "${REGION}", "LINES": "a\nstage: {profile: edge}", "PASSWORD": "https://neo:zion@a.example",
	}[name]
	return value, ok
}

func reader() launchfile.Reader {
	return launchfile.Reader{Variable: environment, Stdin: strings.NewReader("stage: {profile: edge}")}
}

// written writes files and returns their paths.
func written(t *testing.T, texts ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for i, text := range texts {
		path := filepath.Join(dir, string(rune('a'+i))+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestReadFiles(t *testing.T) {
	t.Parallel()
	paths := written(t, `
# what all places have
stage:
  container_registry: registry.example.com/${REGION}/team
  replicas:
    foo/bar: 2
    "a.b/c": 2..5
  ingress:
    annotations:
      nginx.ingress.kubernetes.io/proxy-body-size: "0"
      example.com/nested: ${NESTED}
      example.com/literal: $${REGION} $REGION $$
  queue: {state: off}
  kubernetes: {kubeconfig_path: certs/kube.conf:/etc/kube.conf:~/kube.conf}
`, `{"stage": {"container_registry": "other.example.com/x", "fqdn": null, "registry": null, "profile": "${EMPTY}"}}`, "", "# nothing\n")
	got, err := reader().Read(append(paths, "-"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(paths[0])
	want := []launchfile.Entry{
		{"stage.container_registry", "registry.example.com/eu-1/team", paths[0] + ":4"},
		{"stage.replicas.foo/bar", "2", paths[0] + ":6"},
		{"stage.replicas.a.b/c", "2..5", paths[0] + ":7"},
		{"stage.ingress.annotations.nginx.ingress.kubernetes.io/proxy-body-size", "0", paths[0] + ":10"},
		{"stage.ingress.annotations.example.com/nested", "${REGION}", paths[0] + ":11"},
		{"stage.ingress.annotations.example.com/literal", "${REGION} $REGION $$", paths[0] + ":12"},
		{"stage.queue", "off", paths[0] + ":13"},
		{"stage.kubernetes.kubeconfig_path", dir + "/certs/kube.conf:/etc/kube.conf:~/kube.conf", paths[0] + ":14"},
		{"stage.container_registry", "other.example.com/x", paths[1] + ":1"},
		{"stage.fqdn", "", paths[1] + ":1"},
		{"stage.profile", "", paths[1] + ":1"},
		{"stage.profile", "edge", "stdin:1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read: -want +got\n%s", diff)
	}
}

// What YAML has and a configuration does not need is refused, and all that is
// wrong is told at once, where it stands.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nstage: {replicas: {foo/bar: *c}}"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"unknown key":        {"stage:\n  ingres:\n    provider: nginx", []string{"a.yaml:2: ", `no setting "stage.ingres"`, "did you mean stage.ingress"}},
		"unknown top":        {"stages: {}", []string{"a.yaml:1: ", `no setting "stages"`}},
		"twice":              {"stage:\n  profile: edge\n  fqdn: a.b\n  profile: ha", []string{`a.yaml:4: "profile" stands here again, and in line 2`}},
		"group twice":        {"stage:\n  registry: {layout: single}\n  registry: {insecure: true}", []string{`a.yaml:3: "registry" stands here again`}},
		"list for a value":   {"stage:\n  fqdn: [a]", []string{"a.yaml:2: a list stands where one value belongs, that of stage.fqdn"}},
		"value for a group":  {"stage:\n  registry: single", []string{"a.yaml:2: one value stands where a group of settings belongs", "stage.registry"}},
		"queue as one value": {"stage:\n  queue: off", []string{"a.yaml:2: one value stands where a group of settings belongs", "stage.queue"}},
		"group for a value":  {"stage:\n  profile: {edge: true}", []string{"a.yaml:2: a group of settings stands where one value belongs"}},
		"a key in parts":     {"stage:\n  ingress:\n    annotations: {example: {com/x: y}}", []string{"a.yaml:3: a group of settings stands where one value belongs"}},
		"a list":             {"[a, b]", []string{"a.yaml:1: a list stands where a group"}},
		"a word":             {"edge", []string{"a.yaml:1: one value stands where a group"}},
		"bomb":               {bomb, []string{"no setting"}},
		"alias":              {"stage:\n  fqdn: &x a.b\n  ingress: {host: *x}", []string{"a.yaml:2: anchors and aliases", "a.yaml:3: anchors and aliases"}},
		"merge":              {"stage:\n  <<: {profile: edge}", []string{"a.yaml:2: "}},
		"tag":                {"stage:\n  profile: !!binary ZWRnZQ==", []string{"a.yaml:2: tags such as !!binary"}},
		"two documents":      {"stage: {profile: edge}\n---\nstage: {profile: ha}", []string{"a.yaml:2: a second document"}},
		"no YAML":            {"stage: [", []string{"a.yaml is not YAML: line 1"}},
		"half a document":    {"stage: {profile: edge}\n---\n[", []string{"a.yaml is not YAML"}},
		"unset":              {"stage:\n  fqdn: ${NOWHERE}", []string{"a.yaml:2: stage.fqdn names the environment variable NOWHERE, which is not set"}},
		"not closed":         {"stage:\n  fqdn: ${REGION", []string{"a.yaml:2: stage.fqdn has a ${"}},
		"no name":            {"stage:\n  fqdn: ${REGION:-x}", []string{"a.yaml:2: stage.fqdn has a ${"}},
		"API key":            {"stage:\n  ingress: {annotations: {a: cst_0123456789abcdefghijABCDEFGHIJ012345}}", []string{"a.yaml:2: ", "holds an API key", "no secret"}},
		"private key":        {"stage:\n  ingress: {annotations: {a: \"-----BEGIN RSA PRIVATE KEY-----\\nzion\"}}", []string{"holds a private key"}},
		"password":           {"stage:\n  fqdn: ${PASSWORD}", []string{"holds a URL with a password"}},
		"not UTF-8":          {"stage: {profile: \xff\xfe}", []string{"a.yaml: it is not UTF-8"}},
		"UTF-16":             {"\xff\xfes\x00t\x00", []string{"a.yaml: it is not UTF-8"}},
		"too large":          {strings.Repeat("# a comment\n", launchfile.MaxSize/12+1), []string{"larger than 1024 KiB"}},
	} {
		_, err := reader().Read(written(t, test.text))
		if coded := (interface{ ExitCode() int })(nil); !errors.As(err, &coded) || coded.ExitCode() != 2 {
			t.Errorf("%s: %v, want exit code 2", name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "zion") || strings.Contains(err.Error(), "cst_0") {
			t.Errorf("%s: %q shows the secret", name, err)
		}
	}
}

// Files that do not agree on what a place is are told so, each where it is wrong;
// of very many faults the first are told.
func TestReadNamesEveryFile(t *testing.T) {
	t.Parallel()
	paths := written(t, "stage:\n  registry: {layout: single}\n  profil: edge", "stage:\n  registry: single\n  fqdn: ${NOWHERE}")
	_, err := reader().Read(paths)
	for _, want := range []string{"a.yaml:3: there is no setting", "b.yaml:2: one value stands", "b.yaml:3: stage.fqdn names", "nothing was changed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read = %v, want %q", err, want)
		}
	}
	_, err = reader().Read(written(t, "stage:\n"+strings.Repeat("  ? [x]\n  : y\n", 1000)))
	if err == nil || strings.Count(err.Error(), "\n") != 20 || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("a thousand faults: %v", err)
	}
	for _, path := range []string{"/nonesuch.yaml", t.TempDir()} {
		if _, err := reader().Read([]string{path}); err == nil || !strings.Contains(err.Error(), "read "+path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A variable is text: it is no YAML, and what it holds is not expanded.
func TestAVariableIsText(t *testing.T) {
	t.Parallel()
	got, err := reader().Read(written(t, "stage: {ingress: {annotations: {a: \"${LINES}\"}}}"))
	want := []launchfile.Entry{{Key: "stage.ingress.annotations.a", Value: "a\nstage: {profile: edge}"}}
	if len(got) == 1 {
		want[0].From = got[0].From
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Read: %v, -want +got\n%s", err, diff)
	}
}

func TestEscapeComesBack(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "$", "${", "$${A}", "a${B}c$$${D}", "$$$", "plain"} {
		got, err := reader().Read(written(t, "stage: {ingress: {annotations: {a: 'x"+launchfile.Escape(text)+"'}}}"))
		if err != nil || len(got) != 1 || got[0].Value != "x"+text {
			t.Errorf("%q comes back as %+v, %v", text, got, err)
		}
	}
}

// FuzzRead: whatever a file holds, it is read or refused, and what is read has a
// key and a place.
func FuzzRead(f *testing.F) {
	f.Add("stage: {profile: edge}")
	f.Add("stage: {fqdn: '${A} $${B}'}")
	f.Add("? [a]\n: {b: *c}")
	f.Fuzz(func(t *testing.T, text string) {
		r := launchfile.Reader{Variable: environment, Stdin: strings.NewReader(text)}
		entries, err := r.Read([]string{"-"})
		for _, entry := range entries {
			if err != nil || entry.Key == "" || !strings.HasPrefix(entry.From, "stdin:") {
				t.Errorf("%q gives %+v, %v", text, entry, err)
			}
		}
	})
}
