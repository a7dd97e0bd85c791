package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
)

// TestKeyFileRotates: a Sealer follows its file to a new key and then to that
// alone, and opens what either sealed as long as the file has both.
func TestKeyFileRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	server, err := auth.LoadOrCreateSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	before := server.Seal("place", []byte("before"))
	if err := auth.AddKey(path); err != nil {
		t.Fatal(err)
	}
	text := read(t, path)
	if err := auth.AddKey(path); err != nil || read(t, path) != text {
		t.Errorf("a rotation that is begun again = %v, %q, want the file as it was, %q", err, read(t, path), text)
	}
	after := server.Seal("place", []byte("after"))
	other, err := auth.LoadSealer(path)
	if err != nil || other.Keys() != 2 {
		t.Fatalf("LoadSealer = %v, %v, want two keys", other, err)
	}
	for _, s := range []*auth.Sealer{server, other} {
		for want, sealed := range map[string][]byte{"before": before, "after": after} {
			if got, err := s.Open("place", sealed); err != nil || string(got) != want {
				t.Errorf("Open = %q, %v, want %q", got, err, want)
			}
			if _, err := s.Open("elsewhere", sealed); !errors.Is(err, auth.ErrOtherKey) {
				t.Errorf("Open for another place = %v, want it refused", err)
			}
		}
	}
	if _, again, err := server.Reseal("place", after); again || err != nil {
		t.Errorf("Reseal of what the new key sealed = %v, %v, want nothing to do", again, err)
	}
	resealed, again, err := server.Reseal("place", before)
	if !again || err != nil {
		t.Fatalf("Reseal = %v, %v", again, err)
	}
	if err := auth.DropKeys(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file = %v, %v, want mode 0600", info, err)
	}
	last, err := auth.LoadSealer(path)
	if err != nil || last.Keys() != 1 {
		t.Fatalf("LoadSealer = %v, %v, want one key", last, err)
	}
	if got, err := last.Open("place", resealed); err != nil || string(got) != "before" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := last.Open("place", before); !errors.Is(err, auth.ErrOtherKey) {
		t.Errorf("Open of what the older key sealed = %v, want it refused", err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v are left", files, err)
	}
}

// TestAServerFollowsItsFile: a server that sealed nothing since opens what another
// one sealed with a key that came since.
func TestAServerFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	one, err := auth.LoadOrCreateSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.AddKey(path); err != nil {
		t.Fatal(err)
	}
	other, err := auth.LoadSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := one.Open("place", other.Seal("place", []byte("new"))); err != nil || string(got) != "new" {
		t.Errorf("Open = %q, %v", got, err)
	}
	// A file that is spoilt or gone takes no key away.
	for _, spoil := range []func() error{func() error { return os.WriteFile(path, []byte("x"), 0o600) }, func() error { return os.Remove(path) }} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if got, err := one.Open("place", one.Seal("place", []byte("s"))); err != nil || string(got) != "s" {
			t.Errorf("Open with a spoilt file = %q, %v", got, err)
		}
	}
}

func TestParseSealerRefuses(t *testing.T) {
	t.Parallel()
	const key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, text := range []string{"", "\n\n", "x", key + "\nx", key[:20], key + key, "AAAA", strings.Repeat(key+"\n", 9)} {
		if _, err := auth.ParseSealer(text); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("ParseSealer(%q) = %v, want it refused and the key not told", text, err)
		}
	}
	for _, text := range []string{key, "  " + key + "\r\n", key + "\n" + key} {
		if _, err := auth.ParseSealer(text); err != nil {
			t.Errorf("ParseSealer(%q) = %v", text, err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
