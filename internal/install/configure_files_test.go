package install_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// settingsFile writes a file and returns its path.
func settingsFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// changesOf reads files as configure does.
func changesOf(t *testing.T, files []string, assignments ...string) launchfile.Changes {
	t.Helper()
	entries, err := launchfile.Reader{Variable: os.LookupEnv}.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	return launchfile.Changes{Files: append([]launchfile.Entry{}, entries...), Assignments: assignments}
}

// shownAs returns the values that are set, and where they come from.
func shownAs(t *testing.T, f store.Folder) map[string]string {
	t.Helper()
	shown, err := install.Configure(t.Context(), f, nil, false, progress.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, v := range shown.Values {
		if v.State == "set" {
			set[v.Key] = v.Value + " of " + filepath.Base(v.From)
		}
	}
	return set
}

// Of several files the later one wins and an argument over all; where a value
// comes from is shown. What no file says any more is taken back, and what was set
// by hand stays.
func TestConfigureFiles(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.own_key=any")
	base := settingsFile(t, "base.yaml", "stage:\n  profile: ha\n  heartbeat: off\n  replicas:\n    foo/bar: 2\n")
	prod := settingsFile(t, "prod.yaml", "stage:\n  profile: edge\n  ingress: {host: A.example.com}\n")
	result, err := install.Change(t.Context(), f, changesOf(t, []string{base, prod}, "stage.ingress.host=b.example.com"), false, progress.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	overruled := []launchfile.Entry{{Key: "stage.profile", Value: "ha", From: base + ":2"}, {Key: "stage.ingress.host", Value: "A.example.com", From: prod + ":3"}}
	if diff := cmp.Diff(overruled, result.Overruled); diff != "" {
		t.Errorf("overruled: -want +got\n%s", diff)
	}
	want := map[string]string{"stage.profile": "edge of prod.yaml:2", "stage.heartbeat": "off of base.yaml:3", "stage.replicas.foo/bar": "2 of base.yaml:5",
		"stage.ingress.host": "b.example.com of config.yaml", "stage.own_key": "any of config.yaml"}
	if diff := cmp.Diff(want, shownAs(t, f)); diff != "" {
		t.Errorf("configure shows: -want +got\n%s", diff)
	}
	configure(t, f, "stage.heartbeat=on") // by hand, over a file
	var said bytes.Buffer
	if _, err := install.Change(t.Context(), f, changesOf(t, []string{prod}), false, progress.New(&said)); err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"stage.profile": "edge of prod.yaml:2", "stage.heartbeat": "on of config.yaml",
		"stage.ingress.host": "a.example.com of prod.yaml:3", "stage.own_key": "any of config.yaml"}
	if diff := cmp.Diff(want, shownAs(t, f)); diff != "" {
		t.Errorf("after base.yaml is gone: -want +got\n%s", diff)
	}
	if !strings.Contains(said.String(), "stage.replicas.foo/bar=2 is taken back: "+base+":5 set it") || strings.Contains(said.String(), "heartbeat") {
		t.Errorf("it said %q", said.String())
	}
	empty := settingsFile(t, "empty.yaml", "")
	if _, err := install.Change(t.Context(), f, changesOf(t, []string{empty}), false, progress.New(io.Discard)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"stage.heartbeat": "on of config.yaml", "stage.own_key": "any of config.yaml"}, shownAs(t, f)); diff != "" {
		t.Errorf("after an empty file: -want +got\n%s", diff)
	}
}

// What is wrong in a file is told by file and line, and then nothing is changed.
func TestConfigureFilesRefuses(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.own_key=any")
	base := settingsFile(t, "base.yaml", "stage:\n  profile: edge\n  replicas: {foo/baz: 2}\n  heartbeat: onn\n")
	_, err := install.Change(t.Context(), f, changesOf(t, []string{base}, "stage.fqdn=::1"), false, progress.New(io.Discard))
	wantCode(t, err, fault.CodeUsage, base+":3: this launch has no algorithm at \"foo/baz\"", base+`:4: stage.heartbeat is one of on, off; did you mean "on"`, "stage.fqdn", "nothing was changed")
	if diff := cmp.Diff(map[string]string{"stage.own_key": "any of config.yaml"}, shownAs(t, f)); diff != "" {
		t.Errorf("configure shows: -want +got\n%s", diff)
	}
}

// What --export prints gives another launch the same configuration, whatever its
// values hold.
func TestConfigureExportComesBack(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	nothing, err := install.ExportConfig(f)
	if err != nil || string(nothing) != "stage: {}\n" || len(changesOf(t, []string{settingsFile(t, "empty.yaml", string(nothing))}).Files) > 0 {
		t.Errorf("exported before anything is set: %q, %v", nothing, err)
	}
	configure(t, f, "stage.container_registry=registry.example.com/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms",
		"stage.kubernetes.create_namespace=true", "stage.queue=off", "stage.replicas.foo/bar=2..5", "stage.resources.foo/bar.gpu=1", "stage.registry.insecure=true",
		"stage.ingress.annotations.example.com/a=${HOME} $${B} 'c': #d", "stage.ingress.annotations.b=0123", "stage.ingress.annotations.c=null")
	data, err := install.ExportConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	other := folder(t)
	mustGet(t, other, m.options())
	if _, err := install.Change(t.Context(), other, changesOf(t, []string{settingsFile(t, "launch.yaml", string(data))}), false, progress.New(io.Discard)); err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	again, err := install.ExportConfig(other)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("exported again: %v\n%s\nwant\n%s", err, again, data)
	}
	config, err := os.ReadFile(other.Path("config.yaml"))
	if original, _ := os.ReadFile(f.Path("config.yaml")); err != nil || !bytes.Equal(config, original) {
		t.Errorf("config.yaml: %v\n%s\nwant\n%s", err, config, original)
	}
}
