package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bundled returns the files of a support bundle.
func bundled(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path) //nolint:gosec // a test's own
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if header.Mode != 0o600 {
			t.Errorf("%s has the mode %o", header.Name, header.Mode)
		}
		files[strings.TrimPrefix(header.Name, "support/")] = string(data)
	}
}

// plantSecrets gives a mothership a secret of every kind, in its settings and by its
// API, and returns them, with the settings that are flags.
func plantSecrets(t *testing.T, dir string) (secrets, flags []string) {
	t.Helper()
	folder := t.TempDir()
	plant := func(value string) string { secrets = append(secrets, value); return value }
	inFile := func(name, value string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(plant(value)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("CONSTELLATION_SECRET_KEY", plant(base64.StdEncoding.EncodeToString([]byte("planted-secret-key-of-32-bytes!!"))))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key="+plant("plantedotlpheader")+",Authorization=Bearer%20"+plant("plantedbearer"))
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTEDPLANTED12")
	secrets = append(secrets, "AKIAPLANTEDPLANTED12")
	t.Setenv("AWS_SECRET_ACCESS_KEY", plant("planted/aws+secret/access+key"))
	t.Setenv("AWS_SESSION_TOKEN", plant("plantedsessiontoken"))
	t.Setenv("PGPASSWORD", plant("plantedpgpassword"))
	flags = []string{
		"--smtp-host", "smtp.example.com", "--smtp-from", "c@example.com", "--smtp-user", "mailer", "--smtp-password-file", inFile("smtp", "plantedsmtppassword"),
		"--oidc-issuer", "https://sso.example.com", "--oidc-client-id", "c", "--oidc-role", "viewer=*", "--oidc-client-secret-file", inFile("oidc", "plantedoidcsecret"),
		"--audit-webhook", "https://siem.example.com/hook/" + plant("plantedurltoken") + "?token=" + plant("plantedquerytoken"),
		"--audit-webhook-secret-file", inFile("audit", "whsec_"+base64.StdEncoding.EncodeToString([]byte("planted-audit-webhook-secret"))),
		"--data-dir", dir,
	}
	return secrets, flags
}

// TestSupportBundle: a bundle beside a server that works has all parts and no secret,
// of every kind that a mothership knows.
func TestSupportBundle(t *testing.T) {
	dir := dataDir(t)
	secrets, flags := plantSecrets(t, dir)
	_, stdout, _ := exitOf(t.Context(), "", "account", "create", "neo", "--role", "admin", "--data-dir", dir)
	secrets = append(secrets, passwords(stdout)...)
	_, made, stderr := exitOf(t.Context(), "", "api-key", "create", "--account", "neo", "--role", "admin", "--data-dir", dir)
	key := strings.TrimSpace(made)
	if key == "" {
		t.Fatal(stderr)
	}
	secrets = append(secrets, key)
	i := serveInProcess(t, dir, flags[:len(flags)-2]...)
	for path, body := range map[string]string{
		"/v1/registries":                 `{"host":"registry.example.com","username":"puller","password":"plantedpullpassword"}`,
		"/v1/notifications/destinations": `{"name":"team","kind":"webhook","url":"https://hooks.example.com/T/plantedhooktoken"}`,
		"/v1/satellites":                 `{"name":"plain","algorithms":[]}`,
	} {
		response, got := fetch(t, http.DefaultClient, "POST", i.url+path, body, "Authorization", "Simple "+key, "Content-Type", "application/json")
		if response.StatusCode != 201 {
			t.Fatalf("POST %s: %d %s", path, response.StatusCode, got)
		}
		var made struct{ Secret string }
		if json.Unmarshal([]byte(got), &made) == nil && made.Secret != "" {
			secrets = append(secrets, made.Secret)
		}
	}
	secrets = append(secrets, "plantedpullpassword", "plantedhooktoken")
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	args := append([]string{"support-bundle", file, "--url", i.url}, flags...)
	code, stdout, stderr := exitOf(t.Context(), "", args...)
	if code != 0 || !strings.HasPrefix(stdout, "wrote "+file) {
		t.Fatalf("support-bundle: %d %s %s", code, stdout, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle's mode is %v, %v", info.Mode(), err)
	}
	files := bundled(t, file)
	for _, name := range []string{"README.txt", "version.json", "settings.json", "environment.json", "data-dir.json", "doctor.json", "server/readyz.json", "server/metrics.txt", "servers.json", "jobs.json",
		"failed-jobs.json", "audit.json", "database/migrations.json", "database/server.json", "database/activity.json", "database/tables.json"} {
		if files[name] == "" {
			t.Errorf("the bundle has no %s", name)
		}
	}
	for name, text := range files {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the secret %q", name, secret)
			}
		}
		if name == "audit.json" && strings.Contains(text, "neo") {
			t.Errorf("%s names somebody: %s", name, text)
		}
	}
	for name, want := range map[string]string{
		"README.txt": "database/slow-statements.json: the database has no pg_stat_statements", "settings.json": `"from": "flag"`,
		"environment.json": "OTEL_EXPORTER_OTLP_HEADERS", "audit.json": "satellite", "server/metrics.txt": "constellation_build_info", "database/tables.json": `"name": "events"`,
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %q: %.600s", name, want, files[name])
		}
	}
	if code, _, stderr = exitOf(t.Context(), "", args...); code != 2 || !strings.Contains(stderr, "is there already") {
		t.Errorf("a second bundle of that name: %d %s", code, stderr)
	}
	if code, _, stderr = exitOf(t.Context(), "", append(args, "--force")...); code != 0 {
		t.Errorf("with --force: %d %s", code, stderr)
	}
}

// passwords are the words of a command's answer that may be one.
func passwords(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(word string) bool { return len(word) < 12 })
}

// TestSupportBundleOfWhatIsBroken: with the database and the storage away, the bundle
// says what is missing, and nothing of their logins.
func TestSupportBundleOfWhatIsBroken(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "support.tar.gz")
	args := []string{"support-bundle", file, "--data-dir", filepath.Join(folder, "none"), "--storage", "s3://none?region=x&endpoint=http://127.0.0.1:1",
		"--database-url", "postgres://nobody:planteddsnpassword@127.0.0.1:1/none?connect_timeout=2&sslpassword=plantedkeypassword", "--listen", "127.0.0.1:1", "-o", "json"}
	code, stdout, stderr := exitOf(t.Context(), "", args...)
	if code != 0 {
		t.Fatalf("support-bundle: %d %s", code, stderr)
	}
	var result struct {
		Parts   int
		Missing []string
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server/readyz.json: ", "database", "data-dir.json: "} {
		if !slices.ContainsFunc(result.Missing, func(text string) bool { return strings.HasPrefix(text, want) }) {
			t.Errorf("it does not say that %s is missing: %q", want, result.Missing)
		}
	}
	files := bundled(t, file)
	for name, text := range files {
		if strings.Contains(text+stdout+stderr, "planted") {
			t.Errorf("%s has a password: %s", name, text)
		}
	}
	if !strings.Contains(files["doctor.json"], "problem") || !strings.Contains(files["settings.json"], "postgres://127.0.0.1:1/none") {
		t.Errorf("doctor.json %s, settings.json %.300s", files["doctor.json"], files["settings.json"])
	}
	for _, bad := range []struct{ file, want string }{{folder, "is a folder"}, {filepath.Join(folder, "no/where"), "cannot be written"}} {
		code, _, stderr := exitOf(t.Context(), "", "support-bundle", bad.file, "--force", "--data-dir", folder)
		if code == 0 || !strings.Contains(stderr, bad.want) {
			t.Errorf("support-bundle %s: %d %q, want %q", bad.file, code, stderr, bad.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".support-*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}
