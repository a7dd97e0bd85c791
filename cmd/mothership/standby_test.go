package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// TestAStandbyIsNotReady: things are read there and not written, until it is
// the primary.
func TestAStandbyIsNotReady(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if code, _, stderr := exitOf(t.Context(), goodPassword+"\n", "account", "create", "neo", "--role", "admin", "--password-stdin", "--data-dir", dir); code != 0 {
		t.Fatal(stderr)
	}
	_, key, _ := exitOf(t.Context(), "", "api-key", "create", "--account", "neo", "--data-dir", dir)
	key = strings.TrimSpace(key)
	first := serveInProcess(t, dir)
	first.stop()
	if err := os.WriteFile(filepath.Join(dir, "postgres", "data", "standby.signal"), nil, 0o644); err != nil { //nolint:gosec // PostgreSQL's user reads it
		t.Fatal(err)
	}
	database, err := private.Open(t.Context(), private.Options{Dir: dir, Mode: private.ModeServe})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Stop(t.Context()) //nolint:errcheck // a throwaway
	other := dataDir(t)
	secret, err := os.ReadFile(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "secret.key"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "registry"), filepath.Join(other, "registry")); err != nil {
		t.Fatal(err)
	}
	i := serveInProcess(t, other, "--database-url", database.URL())
	create := func() (*http.Response, string) {
		return fetch(t, http.DefaultClient, "POST", i.url+"/v1/users", `{"username":"trinity","role":"viewer"}`, "Authorization", "Bearer "+key)
	}
	response, body := fetch(t, http.DefaultClient, "GET", i.url+"/readyz", "")
	if response.StatusCode != 503 || !strings.Contains(body, "the database is a standby") {
		t.Errorf("/readyz on a standby = %d %s, want 503 and why", response.StatusCode, body)
	}
	if response, body := fetch(t, http.DefaultClient, "GET", i.url+"/v1/users", "", "Authorization", "Bearer "+key); response.StatusCode != 200 {
		t.Errorf("a read on a standby = %d %s, want 200", response.StatusCode, body)
	}
	if response, body = create(); response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || !strings.Contains(body, "the database is a standby") {
		t.Errorf("a write on a standby = %d %s, want 503, Retry-After and why", response.StatusCode, body)
	}
	c, err := pgx.Connect(t.Context(), database.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), `SELECT pg_promote()`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready as the primary", func() bool {
		response, _ := fetch(t, http.DefaultClient, "GET", i.url+"/readyz", "")
		return response.StatusCode == 200
	})
	if response, body = create(); response.StatusCode != 201 {
		t.Errorf("a write on the new primary = %d %s, want 201", response.StatusCode, body)
	}
}

// TestThePrivateDatabaseIgnoresTheShell: whatever server its variables are for.
func TestThePrivateDatabaseIgnoresTheShell(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "nowhere.invalid", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "x", "PGDATABASE": "none", "PGSERVICE": "none",
		"PGSERVICEFILE": "/nonexistent", "PGOPTIONS": "-c search_path=none -c default_transaction_read_only=on", "PGSSLMODE": "verify-full",
		"PGSSLROOTCERT": "/nonexistent", "PGTARGETSESSIONATTRS": "standby", "PGCHANNELBINDING": "require", "PGREQUIREAUTH": "scram-sha-256",
		"PGCONNECT_TIMEOUT": "nonsense", "PGTZ": "Nowhere/None", "PGAPPNAME": "shell", "PGDATA": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	dir := dataDir(t)
	if code, _, stderr := exitOf(t.Context(), "", "account", "create", "neo", "--role", "admin", "--data-dir", dir); code != 0 {
		t.Errorf("with a shell full of PG variables: exit %d, %s", code, stderr)
	}
}
