package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// examined returns the state and message of each finding.
func examined(t *testing.T, want int, args ...string) map[string]string {
	t.Helper()
	code, stdout, stderr := exitOf(t.Context(), "", append([]string{"doctor", "-o", "json"}, args...)...)
	if code != want {
		t.Errorf("doctor %v: exit %d, want %d: %s %s", args, code, want, stdout, stderr)
	}
	var findings []struct{ Name, State, Message, Fix string }
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil {
		t.Fatalf("doctor %v: %v: %s", args, err, stdout)
	}
	all := map[string]string{}
	for _, f := range findings {
		if f.State == "problem" && f.Fix == "" {
			t.Errorf("doctor says of %s %q, and not what mends it", f.Name, f.Message)
		}
		all[f.Name] = f.State + ": " + f.Message
	}
	return all
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for name, want := range map[string]string{"configuration": "ok", "public URL": "warning: --public-url is not set", "database": "warning: there is none yet"} {
		if got := examined(t, 0, "--data-dir", dir)[name]; !strings.HasPrefix(got, want) {
			t.Errorf("before the first start, %s is %q, want %s", name, got, want)
		}
	}
	i := serveInProcess(t, dir)
	findings := examined(t, 0, "--data-dir", dir, "--public-url", i.url)
	for name, want := range map[string]string{
		"configuration": "ok", "data dir": "ok", "schema": "ok: ", "clock": "ok", "secret key": "ok", "storage": "ok", "public URL": "ok: a mothership answers at " + i.url,
	} {
		if got := findings[name]; !strings.HasPrefix(got, want) {
			t.Errorf("while it serves, %s is %q, want %s", name, got, want)
		}
	}
	if code := i.stop(); code != 0 {
		t.Fatalf("serve ends with %d", code)
	}
	// All that is wrong is told at once.
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // what doctor is to find
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret.key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "registry")); err != nil {
		t.Fatal(err)
	}
	findings = examined(t, 4, "--data-dir", dir, "--public-url", "https://"+strings.TrimPrefix(i.url, "http://"), "--tls-cert", "/none.pem", "--tls-key", "/none.key", "--log-format", "xml")
	for name, want := range map[string]string{
		"configuration": "problem: --log-format is json or text", "TLS": "problem: open /none.pem", "data dir": "problem: others than its owner may write",
		"secret key": "problem: ", "storage": "problem: ", "public URL": "warning: ",
	} {
		if got := findings[name]; !strings.HasPrefix(got, want) {
			t.Errorf("when it is broken, %s is %q, want %s", name, got, want)
		}
	}
	findings = examined(t, 4, "--data-dir", dataDir(t), "--database-url", "postgres://nobody:hidden@127.0.0.1:1/none?connect_timeout=2")
	if got := findings["database"]; !strings.HasPrefix(got, "problem: ") || strings.Contains(got, "hidden") {
		t.Errorf("a database that is away: %q", got)
	}
}
