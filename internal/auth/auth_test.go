package auth_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestKey(t *testing.T) {
	key := auth.NewKey()
	if err := auth.ParseKey(key); err != nil {
		t.Errorf("ParseKey(%q) = %v, want nil", key, err)
	}
	if key == auth.NewKey() {
		t.Error("NewKey gave the same key twice")
	}
	if got := auth.Prefix(key); len(got) != 8 || !strings.HasPrefix(key, got) {
		t.Errorf("Prefix(%q) = %q, want its first 8 characters", key, got)
	}
	swapped := []byte(key)
	swapped[10], swapped[11] = swapped[11], swapped[10]
	if bytes.Equal(swapped, []byte(key)) {
		swapped[10] ^= 1
	}
	for _, bad := range []string{"", "cst_", "abc", key[:len(key)-1], key + "0", string(swapped), " " + key, auth.NewLaunchToken(), "cst_" + strings.Repeat("é", 19)} {
		if err := auth.ParseKey(bad); constellation.KindOf(err) != constellation.KindUnauthenticated {
			t.Errorf("ParseKey(%q) = %v, want unauthenticated", bad, err)
		}
	}
}

func TestPasswords(t *testing.T) {
	ctx := t.Context()
	p := auth.NewPasswords(2)
	phc, err := p.Hash(ctx, "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		phc, password string
		want          bool
	}{
		{phc, "correct horse battery", true},
		{phc, "correct horse batterY", false},
		{phc, "", false},
		{"", "correct horse battery", false},
		{"", "", false},
	} {
		if got, err := p.Verify(ctx, test.phc, test.password); err != nil || got != test.want {
			t.Errorf("Verify(%q, %q) = %v, %v, want %v", test.phc, test.password, got, err, test.want)
		}
	}
	for _, bad := range []string{"x", "$argon2i$v=19$m=1,t=1,p=1$aa$aa", "$argon2id$v=19$m=1,t=0,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)} {
		if _, err := p.Verify(ctx, bad, "x"); err == nil {
			t.Errorf("Verify(%q) = nil error, want one", bad)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	busy := auth.NewPasswords(1)
	var group sync.WaitGroup
	for range 4 { // no slot is lost: each either hashes or returns the context's error
		group.Go(func() { _, _ = busy.Hash(cancelled, "x") })
	}
	group.Wait()
	if _, err := busy.Hash(ctx, "x"); err != nil {
		t.Errorf("Hash after cancelled ones = %v, want nil", err)
	}
}

func TestSealer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	sealers := make([]*auth.Sealer, 8)
	var group sync.WaitGroup
	for i := range sealers {
		group.Go(func() {
			var err error
			if sealers[i], err = auth.LoadOrCreateSealer(path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	sealed := sealers[0].Seal("launch/1", []byte("secret"))
	for i, s := range sealers {
		if got, err := s.Open("launch/1", sealed); err != nil || string(got) != "secret" {
			t.Errorf("sealer %d: Open = %q, %v, want secret", i, got, err)
		}
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("the sealed value holds the secret")
	}
	if _, err := sealers[0].Open("launch/2", sealed); err == nil {
		t.Error("Open for another place = nil error, want one")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := sealers[0].Open("launch/1", sealed); err == nil {
		t.Error("Open of a changed value = nil error, want one")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file mode = %v, %v, want 0600", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files beside the key, want none", len(entries)-1)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadOrCreateSealer(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("LoadOrCreateSealer of a world-readable file = %v, want advice", err)
	}
}
