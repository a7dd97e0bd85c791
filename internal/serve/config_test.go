package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
)

// loaded returns the settings that a serve command line ends up with.
func loaded(args ...string) (Config, error) {
	var c Config
	cmd := &cobra.Command{Use: "serve", RunE: func(cmd *cobra.Command, _ []string) error { return c.Load(cmd) }}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	c.addServeFlags(cmd.Flags())
	c.AddDatabaseFlags(cmd.Flags())
	cmd.SetArgs(args)
	err := cmd.Execute()
	return c, err
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagOverEnvironmentOverFile(t *testing.T) {
	file := writeFile(t, "listen: file:1\nlog-format: text\nstop-timeout: 5s\ntrusted-proxy: [10.0.0.1, 10.1.0.0/16]\ndata-dir: /file\notlp-endpoint: http://file:4318\n")
	t.Setenv("CONSTELLATION_LISTEN", "env:1")
	t.Setenv("CONSTELLATION_DATA_DIR", "/env")
	t.Setenv("CONSTELLATION_LOG_LEVEL", "")
	t.Setenv("DATABASE_URL", "postgres://env/db")
	got, err := loaded("--listen", "flag:1", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		backup: backupSettings{schedule: "0 2 * * *", keep: 14, verify: true},
		file:   file, listen: "flag:1", dataDir: "/env", databaseURL: "postgres://env/db", logFormat: "text", logLevel: "info", otlpEndpoint: "http://file:4318",
		heartbeatInterval: 30 * time.Second, catalogPage: 100, stopDelay: time.Second, stopTimeout: 5 * time.Second,
		storageKeepFree: "256MB", space: spaceSettings{grace: 24 * time.Hour, tagGrace: 30 * 24 * time.Hour, schedule: "30 3 * * *"},
		trustedProxies: []string{"10.0.0.1", "10.1.0.0/16"},
		acme:           acmeConfig{challenge: "tls-alpn-01", httpListen: ":80"},
		limits:         limitSettings{key: "60000/m", address: "6000/m", wrongKey: "120/m", signIn: "60/m", exchange: "60/m"},
		mail:           mailConfig{port: 587, tls: "starttls"},
		oidc: oidcProvider{
			Name: "sso", UsernameClaim: "preferred_username", GroupsClaim: "groups", SignUp: new(true),
			Refresh: duration(15 * time.Minute), Grace: duration(24 * time.Hour),
		},
	}
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestConfigFileOfAnEnvironmentVariable(t *testing.T) {
	t.Setenv("CONSTELLATION_CONFIG", writeFile(t, "listen: file:1\n"))
	got, err := loaded()
	if err != nil || got.listen != "file:1" {
		t.Errorf("listen = %q, %v; want file:1", got.listen, err)
	}
}

func TestProviders(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "oidc-role: [viewer=*]\noidc-providers:\n- name: okta\n  label: Okta\n  issuer: https://okta.example.com\n  client-id: c\n  client-secret-file: "+secret+
		"\n  role: ['admin=cn=admins,ou=groups']\n  sign-up: false\n  refresh: 5m\n")
	t.Setenv("CONSTELLATION_OIDC_CLIENT_ID", "mothership")
	c, err := loaded("--config", file, "--oidc-issuer", "https://login.example.com")
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.signOn("https://m.example", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range all.All() {
		got = append(got, fmt.Sprint(p.Name(), " ", p.Label(), " ", p.Issuer(), " ", p.SignUp(), " ", p.Refresh(), " ", p.Grace()))
	}
	want := []string{"sso sso https://login.example.com true 15m0s 24h0m0s", "okta Okta https://okta.example.com false 5m0s 24h0m0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
	if s, err := c.providers[0].settings(); err != nil || s.ClientSecret != "s3cret" || s.Roles[0].Group != "cn=admins,ou=groups" {
		t.Errorf("the settings of okta = %+v, %v", s, err)
	}
}

func TestProvidersThatCannotWork(t *testing.T) {
	t.Parallel()
	const issuer, client, role = "--oidc-issuer=https://login.example.com", "--oidc-client-id=c", "--oidc-role=viewer=*"
	for want, args := range map[string][]string{
		"--oidc-issuer is missing": {client},
		"no client ID":             {issuer, role},
		"gives nobody a role":      {issuer, client},
		"ROLE=GROUP":               {issuer, client, "--oidc-role=root=x"},
		"is not https":             {"--oidc-issuer=http://login.example.com", client, role},
		"no address of a server":   {"--oidc-issuer=login", client, role},
		"lower-case letters":       {issuer, client, role, "--oidc-name=My IdP"},
		"cannot be read":           {issuer, client, role, "--oidc-client-secret-file=/nonexistent"},
		"the grace":                {issuer, client, role, "--oidc-grace=1m"},
		"lack openid":              {issuer, client, role, "--oidc-scopes=email"},
		"are no PEM":               {issuer, client, role, "--oidc-ca-file=config.go"},
		"the same name or issuer":  {issuer, client, role, "--config=" + writeFile(t, "oidc-providers: [{name: sso, issuer: 'https://x.example', client-id: c, role: ['viewer=*']}]")},
		"list of providers, each":  {"--config=" + writeFile(t, "oidc-providers: [{name: a, secret: x}]")},
		"a duration is written as": {"--config=" + writeFile(t, "oidc-providers: [{name: a, refresh: 5}]")},
	} {
		c, err := loaded(args...)
		if err == nil {
			_, err = c.signOn("https://m.example", slog.New(slog.DiscardHandler))
		}
		var usage command.UsageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want …%s…", args, err, want)
		}
	}
}

func TestPublicURLMadeUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		c         Config
		listening string
		want      string
	}{
		{Config{}, "[::]:8080", "http://localhost:8080"},
		{Config{}, "127.0.0.1:99", "http://localhost:99"},
		{Config{tlsCert: "c"}, "192.0.2.1:443", "https://192.0.2.1:443"},
		{Config{publicURL: "https://m.example"}, "[::]:8080", "https://m.example"},
	}
	for _, tt := range tests {
		if got := tt.c.publicURLFor(tt.listening); got != tt.want {
			t.Errorf("publicURLFor(%s) = %s, want %s", tt.listening, got, tt.want)
		}
	}
}

// TestProvidersOfTheGuide reads the config file that the guide shows.
func TestProvidersOfTheGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../web/docs/guide/26-single-sign-on.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	block, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("the guide shows no config file")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"okta", "entra", "keycloak"} {
		block = strings.ReplaceAll(block, "/etc/constellation/"+name, secret)
	}
	c, err := loaded("--config", writeFile(t, block))
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.signOn("https://m.example", slog.New(slog.DiscardHandler))
	if err != nil || len(all.All()) != 3 {
		t.Errorf("the guide's providers: %v, %v; want three", all, err)
	}
}
