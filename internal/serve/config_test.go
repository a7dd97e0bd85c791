package serve

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
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
	file := writeFile(t, "listen: file:1\nlog-format: text\nstop-timeout: 5s\ntrusted-proxy: [10.0.0.1, 10.1.0.0/16]\ndata-dir: /file\n")
	t.Setenv("CONSTELLATION_LISTEN", "env:1")
	t.Setenv("CONSTELLATION_DATA_DIR", "/env")
	t.Setenv("CONSTELLATION_LOG_LEVEL", "")
	t.Setenv("DATABASE_URL", "postgres://env/db")
	got, err := loaded("--listen", "flag:1", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		file: file, listen: "flag:1", dataDir: "/env", databaseURL: "postgres://env/db", logFormat: "text", logLevel: "info",
		heartbeatInterval: 30 * time.Second, stopDelay: time.Second, stopTimeout: 5 * time.Second,
		space:          space{grace: 24 * time.Hour, tagGrace: 30 * 24 * time.Hour, schedule: "30 3 * * *"},
		trustedProxies: []string{"10.0.0.1", "10.1.0.0/16"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Config{}, space{})); diff != "" {
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
