package install_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

func mustExport(t *testing.T, f store.Folder, file string, split int64) *install.ExportResult {
	t.Helper()
	r, err := install.Export(t.Context(), f, install.ExportOptions{File: file, Split: split, Progress: progress.New(io.Discard)})
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	return r
}

// importInto imports what a mothership signed whose key the operator confirms.
func importInto(t *testing.T, root, from, key string) (*install.ImportResult, error) {
	t.Helper()
	return install.Import(t.Context(), install.ImportOptions{Root: root, From: from, Trust: key, Progress: progress.New(io.Discard)})
}

func wantImported(t *testing.T, m *mother, from string) store.Folder {
	t.Helper()
	f := folder(t)
	r, err := importInto(t, f.Root, from, m.bundle.Signature.KeyID)
	if err != nil {
		t.Fatalf("Import %s: %v", from, err)
	}
	if r.LaunchID != launchID || r.Unchanged {
		t.Errorf("Import = %+v", r)
	}
	if _, err := install.Verify(t.Context(), f, "", progress.New(io.Discard)); err != nil {
		t.Errorf("Verify what was imported: %v", err)
	}
	if r, err := importInto(t, f.Root, from, ""); err != nil || !r.Unchanged {
		t.Errorf("Import again = %+v, %v; want it unchanged", r, err)
	}
	return f
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 900_000)
	dir := t.TempDir()
	whole := mustExport(t, f, filepath.Join(dir, "whole.tar"), 0)
	file, err := os.Open(whole.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only
	var names []string
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
	if names[0] != "launch.json" || names[len(names)-1] != "bundle/index.json" {
		t.Errorf("the export holds %q, want launch.json first and index.json last", names)
	}
	wantImported(t, m, whole.Files[0])

	parts := mustExport(t, f, filepath.Join(dir, "parts.tar"), 1<<20)
	if len(parts.Files) < 3 || parts.Sums == "" {
		t.Fatalf("Export in parts = %+v", parts)
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--quiet", filepath.Base(parts.Sums))
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum --check: %v: %s", err, out)
	}
	joined := []byte{}
	for _, part := range parts.Files {
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, data...)
	}
	one, err := os.ReadFile(whole.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(joined, one) {
		t.Error("the parts are not the whole")
	}
	wantImported(t, m, filepath.Join(dir, "parts.tar"))
	wantImported(t, m, parts.Files[0])

	// Straight from the parts, on a machine that has nothing else.
	empty := folder(t)
	o := pushOptions()
	o.From, o.Trust, o.Config = parts.Files[0], m.bundle.Signature.KeyID, true
	wantPulled(t, mustPush(t, empty, o))
	if _, err := os.Stat(empty.Path("bundle", "index.json")); err == nil {
		t.Error("the export was unpacked")
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 900_000), folder(t)
	mustGet(t, f, m.options())
	dir := t.TempDir()
	parts := mustExport(t, f, filepath.Join(dir, "parts.tar"), 1<<20)
	whole := mustExport(t, f, filepath.Join(dir, "whole.tar"), 0).Files[0]
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	bad := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := bytes.Clone(good)
	flipped[bytes.Index(good, m.blobs[m.layers[0]])+1000] ^= 1
	if err := os.Remove(parts.Files[1]); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		from  string
		code  fault.Code
		texts []string
	}{
		"a flipped bit":   {bad("flipped.tar", flipped), fault.CodeIntegrity, []string{"damaged", strings.TrimPrefix(m.layers[0], "sha256:")}},
		"cut short":       {bad("short.tar", good[:len(good)*2/3]), fault.CodeIntegrity, []string{"short.tar"}},
		"a missing part":  {parts.Files[0], fault.CodeIntegrity, []string{parts.Files[1], "missing"}},
		"something else":  {bad("text", []byte("hello")), fault.CodeIntegrity, []string{"no export"}},
		"nothing":         {filepath.Join(dir, "none"), fault.CodeUsage, []string{"there is no export"}},
		"an empty folder": {t.TempDir(), fault.CodeIntegrity, []string{"index.json"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := folder(t)
			_, err := importInto(t, to.Root, test.from, m.bundle.Signature.KeyID)
			wantCode(t, err, test.code, test.texts...)
			if _, err := os.Stat(to.Path("bundle", "index.json")); err == nil {
				t.Error("index.json is there although the import failed")
			}
		})
	}
}

// A launch whose algorithms the engines would refuse is refused where it comes in,
// before anything is written.
func TestImportRefusesWhatEnginesWould(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bundle.Plan){
		"a semantic version of two numbers": func(p *bundle.Plan) { p.Algorithms[0].SemanticVersion = "1.2" },
		"an unknown protocol":               func(p *bundle.Plan) { p.Algorithms[0].Runtime.Protocol = "carrier-pigeon" },
		"a path of spaces":                  func(p *bundle.Plan) { p.Algorithms[0].Runtime.Path = "/a b" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, f, to := newMother(t, newKey(t), 1, 3000, change), folder(t), folder(t)
			mustGet(t, f, m.options())
			_, err := importInto(t, to.Root, f.Path(), m.bundle.Signature.KeyID)
			wantCode(t, err, fault.CodeIntegrity, "engines would refuse", "foo/bar")
			if _, err := os.Stat(to.Path("launch.json")); err == nil {
				t.Error("launch.json is there although the import was refused")
			}
		})
	}
}

// A folder that was carried by cp, scp or tar works where it is put, once the
// operator has confirmed its key and taken its configuration.
func TestACopiedFolderWorks(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	there := copyOf(t, f, m)
	if _, err := install.Verify(t.Context(), there, "", progress.New(io.Discard)); err != nil {
		t.Errorf("Verify: %v", err)
	}
	wantPulled(t, mustPush(t, there, pushOptions()))
	wantImported(t, m, f.Path())
}

// The bundle, copied out of a registry by skopeo into a layout of its own.
func TestImportOfAFolderThatSkopeoMade(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("needs skopeo")
	}
	m, f, p := newMother(t, newKey(t), 1, 30_000), folder(t), newPrivate(t)
	mustGet(t, f, m.options())
	source, err := layout.FromPath(f.Path("bundle"))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := source.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(p.host + "/satellites/" + satelliteID + ":" + launchID)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copied")
	out, err := exec.CommandContext(t.Context(), skopeo, "copy", "--all", "--src-tls-verify=false", "docker://"+ref.String(), "oci:"+to).CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo copy: %v: %s", err, out)
	}
	imported := wantImported(t, m, to)
	mustBeSame := func(name string) {
		want, err := os.ReadFile(f.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(imported.Path(name))
		if diff := cmp.Diff(string(want), string(got)); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	mustBeSame("launch.json")
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"700M": 700e6, "4G": 4e9, "4GB": 4e9, "4GiB": 4 << 30, "1.5g": 0, "": 0, "-1G": 0, "12": 12, "10k": 10e3, "10K": 10e3, "2Ki": 2048, "x": 0} {
		got, err := install.ParseSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}
