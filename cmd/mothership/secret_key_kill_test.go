package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/auth"
)

// TestSecretKeyRotationIsKilled with SIGKILL among the secrets that it seals anew, of
// which some are done then and the others not, while a server runs. The server opens
// both meanwhile, and the same command ends as if nothing had been.
func TestSecretKeyRotationIsKilled(t *testing.T) {
	t.Parallel()
	const secrets = 300
	f := newFleet(t)
	server := serveInProcess(t, f.dir, "--database-url", f.database)
	f.account(t)
	path := filepath.Join(f.dir, "secret.key")
	sealer, err := auth.LoadSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the test is over
	name := func(i int) string { return fmt.Sprintf("secret-%03d", i) }
	before := map[string]string{}
	for i := range secrets {
		sealed := sealer.Seal("acme_values/"+name(i), []byte("the content of "+name(i)))
		before[name(i)] = string(sealed)
		if _, err := db.Exec(t.Context(), `INSERT INTO acme_values (name, sealed, expires_at) VALUES ($1, $2, now() + interval '1 day')`, name(i), sealed); err != nil {
			t.Fatal(err)
		}
	}
	// sealedAnew looks how many are, and that each opens with the keys of the file.
	sealedAnew := func() (n int) {
		t.Helper()
		now, err := auth.LoadSealer(path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Query(t.Context(), `SELECT name, sealed FROM acme_values`)
		if err != nil {
			t.Fatal(err)
		}
		type row struct {
			Name   string
			Sealed []byte
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		if err != nil || len(all) != secrets {
			t.Fatalf("%d secrets, %v", len(all), err)
		}
		for _, r := range all {
			if secret, err := now.Open("acme_values/"+r.Name, r.Sealed); err != nil || string(secret) != "the content of "+r.Name {
				t.Fatalf("%s opens to %q, %v", r.Name, secret, err)
			}
			if string(r.Sealed) != before[r.Name] {
				n++
			}
		}
		return n
	}
	for _, at := range []int{1, 150, 299} {
		killRotation(t, f, name(at))
		if n := sealedAnew(); n != at {
			t.Errorf("%d secrets are sealed anew by a rotation that was killed at the secret %d", n, at)
		}
		if response, body := fetch(t, http.DefaultClient, "GET", server.url+"/v1/system", "", "Authorization", "Bearer "+f.key); response.StatusCode != http.StatusOK {
			t.Errorf("the server meanwhile = %d %s", response.StatusCode, body)
		}
	}
	keys := strings.Fields(readFile(t, path))
	code, _, stderr := exitOf(t.Context(), "", "secret-key", "rotate", "--data-dir", f.dir, "--secret-key-file", path, "--database-url", f.database)
	if code != 0 || !strings.Contains(stderr, "nothing is sealed with the older key any more") {
		t.Fatalf("secret-key rotate after the kills: exit %d: %s", code, stderr)
	}
	if got := readFile(t, path); got != keys[0]+"\n" {
		t.Errorf("the key file has %d lines, want the new key alone", strings.Count(got, "\n"))
	}
	if n := sealedAnew(); n != secrets {
		t.Errorf("%d of %d secrets are sealed anew in the end", n, secrets)
	}
}

// killRotation begins a rotation, and kills it once it waits for a secret that is
// locked.
func killRotation(t *testing.T, f *fleet, locked string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // it ends the transaction
	lock, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT FROM acme_values WHERE name = $1 FOR UPDATE`, locked); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "secret-key", "rotate", "--data-dir", f.dir, "--secret-key-file", filepath.Join(f.dir, "secret.key")) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1", "DATABASE_URL="+f.database)
	cmd.Stderr, cmd.Stdout = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watcher, err := pgx.Connect(t.Context(), f.database) // within a transaction activity is that of its first look
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only read
	eventually(t, "the rotation waits for "+locked, func() bool {
		var waiting bool
		if err := watcher.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE acme_values%')`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	// What it had sent ends there before the secret is free again.
	if _, err := watcher.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE acme_values%'`); err != nil {
		t.Fatal(err)
	}
}
