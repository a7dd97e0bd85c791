package install_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// Without a key that this machine trusts, nothing of a launch is used.
func TestNoPinNoLaunch(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	id := m.bundle.Signature.KeyID
	export := mustExport(t, f, filepath.Join(t.TempDir(), "plant.tar"), 0).Files[0]
	read := []string{id, "System page", "mothership signing-key", "GET /v1/system", "--trust " + id}

	there := folder(t)
	_, err := importInto(t, there.Root, export, "")
	wantCode(t, err, fault.CodeIntegrity, read...)
	if _, err := os.Stat(there.Path()); err == nil {
		t.Error("the refused import left files")
	}
	o := pushOptions()
	o.From, o.Config = export, true
	_, err = install.Push(t.Context(), there, o)
	wantCode(t, err, fault.CodeIntegrity, read...)
	if n := p.count("PUT"); n > 0 {
		t.Errorf("the refused push sent %d manifests", n)
	}
	copied := carried(t, f)
	_, err = install.Verify(t.Context(), copied, "", o.Progress)
	wantCode(t, err, fault.CodeIntegrity, read...)
	for verb, run := range reading(t, copied) {
		t.Log(verb)
		wantCode(t, run(), fault.CodeIntegrity, read...)
	}

	// Another key than the one that is confirmed, and then than the one pinned.
	_, err = importInto(t, there.Root, export, "0123456789abcdef")
	wantCode(t, err, fault.CodeIntegrity, id, "0123456789abcdef")
	if _, err := importInto(t, there.Root, export, strings.ToUpper(id)); err != nil {
		t.Fatalf("import with the confirmed key: %v", err)
	}
	other := newMother(t, newKey(t), 2, 30_000)
	from := folder(t)
	mustGet(t, from, other.options())
	_, err = importInto(t, there.Root, from.Path(), "")
	wantCode(t, err, fault.CodeIntegrity, id, other.bundle.Signature.KeyID)
	if _, err := install.Verify(t.Context(), there, "", o.Progress); err != nil {
		t.Errorf("Verify of what was confirmed: %v", err)
	}
}

// trust.json of another machine pins nothing here, and names no mothership
// that a key is sent to.
func TestTrustDoesNotTravel(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	path := filepath.Join(f.Root, "trust.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Seal string          `json:"seal"`
		Note json.RawMessage `json:"note"`
	}
	if err := json.Unmarshal(good, &file); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"without a seal":      string(file.Note),
		"of another machine":  strings.Replace(string(good), file.Seal, strings.Repeat("0", 64), 1),
		"with another key":    strings.Replace(string(good), m.bundle.Signature.KeyID, "0123456789abcdef", 1),
		"with another server": strings.Replace(string(good), m.URL, "http://127.0.0.1:1", 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := install.Verify(t.Context(), f, "", m.options().Progress)
		wantCode(t, err, fault.CodeIntegrity, "no mothership's key")
		if last, err := store.LastMothership(f.Root); err != nil || last != "" {
			t.Errorf("%s: LastMothership = %q, %v; want none", name, last, err)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := folder(t) // the whole deployment folder, carried to another place
	if err := os.CopyFS(whole.Root, os.DirFS(f.Root)); err != nil {
		t.Fatal(err)
	}
	_, err = install.Verify(t.Context(), whole, "", m.options().Progress)
	wantCode(t, err, fault.CodeIntegrity, "no mothership's key")
	if _, err := install.Verify(t.Context(), f, "", m.options().Progress); err != nil {
		t.Errorf("Verify with our own trust.json: %v", err)
	}
}
