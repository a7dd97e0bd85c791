package main

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
)

// TestSecretKeyRotates rotates the secret key under a running server, once more
// after one that was killed, and finds every secret again.
func TestSecretKeyRotates(t *testing.T) {
	t.Parallel()
	r := newRelease(t)
	path := filepath.Join(r.dir, "secret.key")
	token := r.token(t)
	post := func(name string) string {
		t.Helper()
		response, body := fetch(t, http.DefaultClient, "POST", r.url+"/v1/satellites/"+r.satellite+"/keys", `{"name":"`+name+`"}`,
			"Authorization", "Bearer "+r.admin, "Content-Type", "application/json", "Idempotency-Key", name)
		if response.StatusCode != http.StatusCreated {
			t.Fatalf("POST …/keys = %d %s", response.StatusCode, body)
		}
		return body
	}
	first := post("first")
	before := readFile(t, path)
	rotate := func() string {
		t.Helper()
		code, _, stderr := exitOf(t.Context(), "", "secret-key", "rotate", "--data-dir", r.dir)
		if code != 0 {
			t.Fatalf("secret-key rotate: exit %d: %s", code, stderr)
		}
		return stderr
	}
	if said := rotate(); !strings.Contains(said, "nothing is sealed with the older key any more") || strings.Contains(said, before[:20]) {
		t.Errorf("secret-key rotate says %q", said)
	}
	second := readFile(t, path)
	if second == before || strings.Count(second, "\n") != 1 {
		t.Errorf("the key file = %q after %q, want one other key", second, before)
	}
	check := func() {
		t.Helper()
		if got := r.token(t); got != token {
			t.Errorf("the launch's token = %q, want %q", got, token)
		}
		if again := post("first"); again != first {
			t.Errorf("the answer that was kept = %s, want %s", again, first)
		}
	}
	check()
	// One that was killed after it had made a key: again, to the same end.
	if err := auth.AddKey(path); err != nil {
		t.Fatal(err)
	}
	begun := strings.Fields(readFile(t, path))
	post("between")
	rotate()
	if got := readFile(t, path); got != begun[0]+"\n" {
		t.Errorf("the key file = %q, want the key that was begun with, of %q", got, begun)
	}
	check()
	if events := r.call(t, "GET", "/v1/events?action=secret_key.rotate", "")["results"].([]any); len(events) < 2 {
		t.Errorf("the audit log has %v, want both rotations", events)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSecretKeyFromElsewhere starts with keys from each place, and with none that
// work.
func TestSecretKeyFromElsewhere(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	other := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	dir := dataDir(t)
	command := func(args ...string) (int, string) {
		code, _, stderr := exitOf(t.Context(), "", append([]string{"signing-key", "--data-dir", dir}, args...)...)
		return code, stderr
	}
	if code, stderr := command("--secret-key-command", "echo "+key); code != 0 {
		t.Fatalf("a key of a command: exit %d: %s", code, stderr)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(other+"\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stderr := command("--secret-key-file", file); code != 0 {
		t.Errorf("two keys of a file: exit %d: %s", code, stderr)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, []byte(key), 0o644); err != nil { //nolint:gosec // which is refused
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flag, value, want string
	}{
		{"--secret-key-command", "echo secret; exit 3", "the command of --secret-key-command failed with exit code 3; run it by hand to see why"},
		{"--secret-key-command", "echo secret", "the secret key of --secret-key-command is none"},
		{"--secret-key-command", "head -c 5000 /dev/zero", "prints more than 4096 bytes"},
		{"--secret-key-command", "true", "the secret key of --secret-key-command is none"},
		{"--secret-key-command", "echo " + other, "other"},
		{"--secret-key-file", file + ".none", "is not there"},
		{"--secret-key-file", open, "every user of this machine may access it"},
		{"--secret-key", "secret", "the secret key of CONSTELLATION_SECRET_KEY is none"},
	} {
		code, stderr := command(tt.flag, tt.value)
		if code == 0 || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, "secret;") || strings.Contains(stderr, key) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s %s: exit %d, %q; want one line with %q", tt.flag, tt.value, code, stderr, tt.want)
		}
	}
	if code, stderr := command("--secret-key", key, "--secret-key-file", file); code == 0 || !strings.Contains(stderr, "comes from one place") {
		t.Errorf("two places: exit %d, %q", code, stderr)
	}
	code, _, stderr := exitOf(t.Context(), "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "error", "--secret-key", other)
	if code != 1 || !strings.Contains(stderr, "the secret key of CONSTELLATION_SECRET_KEY belongs to another database") {
		t.Errorf("a mothership with another's key: exit %d, %q", code, stderr)
	}
}
