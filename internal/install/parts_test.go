package install_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// A part that was damaged on its way is named by its own file: that one alone
// is copied anew.
func TestADamagedPartIsNamed(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 900_000)
	parts := mustExport(t, f, filepath.Join(t.TempDir(), "plant.tar"), 1<<20)
	good := map[string][]byte{}
	for _, part := range append([]string{parts.Sums}, parts.Files...) {
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		good[part] = data
	}
	restore := func() {
		t.Helper()
		for part, data := range good {
			if err := os.WriteFile(part, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	push := pushOptions()
	push.From, push.Trust, push.Config = parts.Files[0], m.bundle.Signature.KeyID, true
	runs := map[string]func() error{
		"import": func() error {
			_, err := importInto(t, folder(t).Root, parts.Files[0], m.bundle.Signature.KeyID)
			return err
		},
		"push": func() error {
			_, err := install.Push(t.Context(), folder(t), push)
			return err
		},
	}
	for verb, run := range runs {
		for i, part := range parts.Files {
			for name, bad := range map[string][]byte{
				"a flipped bit":       flip(good[part], len(good[part])/2),
				"a flipped beginning": flip(good[part], 3),
				"an empty file":       {},
				"cut short":           good[part][:len(good[part])-700],
			} {
				for _, sums := range []bool{true, false} {
					restore()
					if err := os.WriteFile(part, bad, 0o600); err != nil {
						t.Fatal(err)
					}
					if !sums {
						if err := os.Remove(parts.Sums); err != nil {
							t.Fatal(err)
						}
					}
					err := run()
					if err == nil && verb == "push" {
						continue // the registry has these bytes already
					}
					last := i == len(parts.Files)-1
					if !sums && last && name != "a flipped bit" { // nothing says how long the last one is, or the rest
						wantCode(t, err, fault.CodeIntegrity)
						continue
					}
					wantCode(t, err, fault.CodeIntegrity, part)
					for _, other := range parts.Files {
						if sums && other != part && strings.Contains(err.Error(), other+" is damaged") {
							t.Errorf("%s, %s of %s: %v blames %s", verb, name, part, err, other)
						}
					}
				}
			}
		}
	}
	restore()
	last := parts.Files[len(parts.Files)-1]
	if err := os.Remove(last); err != nil {
		t.Fatal(err)
	}
	wantCode(t, runs["import"](), fault.CodeIntegrity, last+" is missing")
}

func flip(data []byte, at int) []byte {
	bad := bytes.Clone(data)
	bad[at] ^= 1
	return bad
}
