package install_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

func renderFolder(t *testing.T) (store.Folder, *mother) {
	t.Helper()
	c := newCustomer(t)
	login(t, c.host, "zion")
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.namespace=algorithms") // and no cluster
	return f, m
}

func TestRenderKustomize(t *testing.T) {
	f, _ := renderFolder(t)
	dir := filepath.Join(t.TempDir(), "k")
	o := install.RenderOptions{Offline: true, Kustomize: dir, Progress: progress.New(io.Discard)}
	r, err := install.Render(t.Context(), f, o)
	if err != nil || !r.Secrets {
		t.Fatalf("Render = %+v, %v", r, err)
	}
	o.NoSecrets = true
	if r, err = install.Render(t.Context(), f, o); err != nil || r.Secrets {
		t.Fatalf("Render without secrets = %+v, %v", r, err)
	}
	var k struct{ Resources []string }
	data, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err == nil {
		err = yaml.Unmarshal(data, &k)
	}
	if err != nil || len(k.Resources) < 10 {
		t.Fatalf("kustomization.yaml = %s, %v", data, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "manifests", "*"))
	if err != nil || len(files) != len(k.Resources) {
		t.Errorf("%d files for %d resources, %v; want none left of the run before", len(files), len(k.Resources), err)
	}
	for _, name := range k.Resources {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Contains(string(data), "kind: Secret") {
			t.Errorf("%s: %v, a Secret: %v", name, err, err == nil)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "manifests", "deployment-algo-foo-bar.yaml")); err != nil {
		t.Errorf("a name that stays the same: %v", err)
	}
	theirs := t.TempDir()
	if err := os.WriteFile(filepath.Join(theirs, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Kustomize = theirs
	_, err = install.Render(t.Context(), f, o)
	wantCode(t, err, fault.CodeUsage, "did not write", theirs)
}

// The chart, with its own values, gives what the kustomization has.
func TestRenderHelm(t *testing.T) {
	f, _ := renderFolder(t)
	chart, plain := filepath.Join(t.TempDir(), "h"), filepath.Join(t.TempDir(), "k")
	o := install.RenderOptions{Offline: true, Helm: chart, NoSecrets: true, Progress: progress.New(io.Discard)}
	if _, err := install.Render(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	o.Helm, o.Kustomize = "", plain
	if _, err := install.Render(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	data, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err == nil {
		err = yaml.Unmarshal(data, &values)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*.yaml"))
	if err != nil || len(files) < 10 {
		t.Fatalf("templates: %q, %v", files, err)
	}
	for _, file := range files {
		parsed, err := template.ParseFiles(file) // which is what Helm does
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := parsed.Execute(&got, map[string]any{"Values": values, "Release": map[string]string{"Namespace": "algorithms"}}); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(plain, "manifests", filepath.Base(file)))
		if err != nil || got.String() != string(want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", filepath.Base(file), err, &got, want)
		}
	}
}
