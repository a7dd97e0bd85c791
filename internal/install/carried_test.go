package install_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// plugin is a kubeconfig whose user is a program that leaves a file behind.
func plugin(t *testing.T) (kubeconfig, ran string) {
	t.Helper()
	dir := t.TempDir()
	kubeconfig, ran = filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "ran")
	text := `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}],
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: ["` + ran + `"], interactiveMode: Never}}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, ran
}

// with rewrites an export, with one file more than was signed.
func with(t *testing.T, export, name, text string) string {
	t.Helper()
	in, err := os.Open(export)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // read only
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(h *tar.Header, from io.Reader) {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, from); err != nil {
			t.Fatal(err)
		}
	}
	add(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}, strings.NewReader(text))
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Name != name {
			add(header, r)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "evil.tar")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reading are the verbs that a configuration could lead astray.
func reading(t *testing.T, f store.Folder) map[string]func() error {
	o := progress.New(io.Discard)
	return map[string]func() error{
		"doctor": func() error { _, err := install.Doctor(t.Context(), f, nil, o); return err },
		"status": func() error { _, err := install.Status(t.Context(), f); return err },
		"logs":   func() error { return install.Logs(t.Context(), f, health.LogOptions{}, io.Discard) },
		"diff":   func() error { _, err := install.Diff(t.Context(), f, o); return err },
		"render": func() error { _, err := install.Render(t.Context(), f, install.RenderOptions{Progress: o}); return err },
		"push":   func() error { _, err := install.Push(t.Context(), f, pushOptions()); return err },
		"deploy": func() error {
			_, err := install.Deploy(t.Context(), f, install.DeployOptions{Timeout: time.Minute, Progress: o})
			return err
		},
	}
}

// evilConfig starts a program on whoever uses it.
func evilConfig(kubeconfig string) string {
	return "stage:\n  container_registry: registry.evil.example/x\n  kubernetes:\n    kubeconfig_path: " + kubeconfig + "\n    namespace: algorithms\n"
}

// The signed parts of an import are whole; its configuration nobody signed.
func TestAnImportBringsNoConfiguration(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	kubeconfig, ran := plugin(t)
	export := mustExport(t, f, filepath.Join(t.TempDir(), "plant.tar"), 0).Files[0]
	evil := with(t, export, "config.yaml", evilConfig(kubeconfig))

	there, said := folder(t), waittest.Buffer{}
	o := install.ImportOptions{Root: there.Root, From: evil, Trust: m.bundle.Signature.KeyID, Progress: progress.New(&said)}
	if _, err := install.Import(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(there.Path("config.yaml")); err == nil {
		t.Error("the import brought a configuration")
	}
	if !strings.Contains(said.String(), "--with-config") {
		t.Errorf("the import said %q, want how its configuration is taken", said.String())
	}
	for verb, run := range reading(t, there) {
		wantCode(t, run(), fault.CodeUsage, "not configured yet")
		if _, err := os.Stat(ran); err == nil {
			t.Fatalf("%s ran the import's program", verb)
		}
	}

	// With the operator's word, every value is told.
	o.Root, o.Config, said = folder(t).Root, true, waittest.Buffer{}
	o.Progress = progress.New(&said)
	if _, err := install.Import(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"stage.kubernetes.kubeconfig_path=" + kubeconfig, "stage.container_registry=registry.evil.example/x"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("import --with-config said %q, want %s", said.String(), want)
		}
	}
	taken := folder(t)
	taken.Root = o.Root
	if shown, err := install.Configure(t.Context(), taken, nil, false, o.Progress); err != nil || shown.NotAccepted {
		t.Errorf("Configure = %+v, %v; want what was taken", shown, err)
	}
}

// A folder that was copied here, and one over whose configuration another was
// copied, carry values that nobody on this machine saw.
func TestAFolderFromElsewhereBringsNoConfiguration(t *testing.T) {
	t.Parallel()
	kubeconfig, ran := plugin(t)
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	there := carried(t, f)
	if _, err := install.Verify(t.Context(), there, m.bundle.Signature.KeyID, progress.New(io.Discard)); err != nil {
		t.Fatal(err)
	}
	configure(t, f, "stage.profile=edge")
	set := carried(t, f) // what was set by configure, but in another place
	if _, err := install.Verify(t.Context(), set, m.bundle.Signature.KeyID, progress.New(io.Discard)); err != nil {
		t.Fatal(err)
	}
	_, err := install.Doctor(t.Context(), set, nil, progress.New(io.Discard))
	wantCode(t, err, fault.CodeIntegrity, set.Path("config.yaml"), "configure --with-config")
	for name, f := range map[string]store.Folder{"copied here": there, "copied over ours": f} {
		for form, text := range map[string]string{
			"plain":      evilConfig(kubeconfig),
			"with alias": "x: &k " + kubeconfig + "\n" + strings.Replace(evilConfig(kubeconfig), "kubeconfig_path: "+kubeconfig, "kubeconfig_path: *k", 1),
			"an alias":   strings.NewReplacer("container_registry: registry.evil.example/x", "container_registry: &x registry.evil.example/x", "namespace: algorithms", "namespace: *x").Replace(evilConfig(kubeconfig)),
		} {
			if err := os.WriteFile(f.Path("config.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for verb, run := range reading(t, f) {
				err := run()
				if form != "with alias" { // which has a key that is none
					wantCode(t, err, fault.CodeIntegrity, f.Path("config.yaml"), "configure --with-config")
				} else if err == nil {
					t.Errorf("%s, %s, %s: no error", name, form, verb)
				}
				if _, err := os.Stat(ran); err == nil {
					t.Fatalf("%s, %s: %s ran the folder's program", name, form, verb)
				}
			}
			_, err := install.Configure(t.Context(), f, []string{"stage.profile=ha"}, false, progress.New(io.Discard))
			if err == nil {
				t.Errorf("%s, %s: configure built on values that nobody took", name, form)
			}
		}
		if err := os.WriteFile(f.Path("config.yaml"), []byte(evilConfig(kubeconfig)), 0o600); err != nil {
			t.Fatal(err)
		}
		shown, err := install.Configure(t.Context(), f, nil, false, progress.New(io.Discard))
		if err != nil || !shown.NotAccepted {
			t.Errorf("%s: Configure = %+v, %v; want it told that the values are not taken", name, shown, err)
		}
		var said waittest.Buffer
		if err := install.AcceptConfig(t.Context(), f, progress.New(&said)); err != nil || !strings.Contains(said.String(), "kubeconfig_path="+kubeconfig) {
			t.Errorf("%s: TakeConfig = %v and said %q", name, err, said.String())
		}
		if shown, err = install.Configure(t.Context(), f, nil, false, progress.New(io.Discard)); err != nil || shown.NotAccepted {
			t.Errorf("%s: Configure = %+v, %v; want what was taken", name, shown, err)
		}
	}
}

// verify says which files no signature covers.
func TestVerifySaysWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	mustPush(t, f, pushOptions())
	for _, name := range []string{"bundle/blobs/sha256/extra", "notes.txt"} {
		if err := os.WriteFile(f.Path(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := install.Verify(t.Context(), f, "", progress.New(io.Discard))
	if err != nil || r.KeyID != m.bundle.Signature.KeyID {
		t.Fatalf("Verify = %+v, %v", r, err)
	}
	if got, want := strings.Join(r.Unsigned, " "), "bundle/blobs/sha256/extra config.yaml lock logs notes.txt work"; got != want {
		t.Errorf("not signed: %s, want %s", got, want)
	}
}

func flock(t *testing.T, file *os.File) {
	t.Helper()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}
