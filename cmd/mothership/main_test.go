package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/command"
)

// exitOf runs a command line and returns its exit code and output.
func exitOf(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = command.Run(ctx, append([]string{"mothership"}, args...), command.Streams{In: strings.NewReader(stdin), Out: &out, Err: &err}, newRootCommand)
	return code, out.String(), err.String()
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unknown, nested := filepath.Join(dir, "unknown.yaml"), filepath.Join(dir, "nested.yaml")
	for path, content := range map[string]string{unknown: "lisen: x\n", nested: "listen: {a: b}\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		args string
		want string
	}{
		{"serve --nonsense", "unknown flag: --nonsense"},
		{"serve extra", `no argument; not "extra"`},
		{"serve --config " + unknown, `there is no setting "lisen"`},
		{"serve --config " + nested, "is a single value or a list"},
		{"serve --config /nonexistent.yaml", "cannot be read: no such file or directory"},
		{"serve --tls-cert x", "--tls-cert and --tls-key go together"},
		{"serve --public-url example.com", "--public-url is http:// or https:// and a host"},
		{"serve --public-url https://example.com/users", "this server has pages of its own there"},
		{"serve --log-format xml", "--log-format is json or text"},
		{"serve --log-level loud", "--log-level is debug, info, warn or error"},
		{"serve --trusted-proxy proxy.example", "a trusted proxy is an address or a prefix"},
		{"serve --stop-timeout 0s", "--stop-timeout is longer than 0"},
		{"account create", "the account's NAME is missing"},
		{"account create a b", `unexpected argument "b"`},
		{"account create neo --password-stdin", "there is no password on standard input"},
		{"account set-password neo", "give --password-stdin"},
		{"serve --stop-delay -1s", "--stop-delay is between 0 and 1m"},
		{"nonsense", "unknown command \"nonsense\"; see 'mothership --help'"},
		{"help nonsense", "there is no command \"nonsense\" to help with"},
		{"help account nonsense", "there is no command \"account nonsense\" to help with"},
		{"serve --heartbeat-interval 1500ms", "--heartbeat-interval is whole seconds"},
		{"sreve", "did you mean 'mothership serve'?"},
		{"satellite engin", "did you mean 'mothership satellite engine'?"},
		{"account lst", "did you mean 'mothership account list'?"},
		{"account frobnicate", `unknown command "frobnicate"`},
		{"api-key create", "--account is missing"},
		{"api-key create --account neo --expires soon", "--expires is a time from now"},
		{"api-key revoke", "the key's ID is missing"},
		{"version -o yaml", "the output is table or json"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := exitOf(t.Context(), "", strings.Fields(tt.args)...)
			if code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d, stdout %q, stderr %q; want 2 and one line with %q", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"90d": "2026-05-01T12:00:00Z", "12h": "2026-02-01T00:00:00Z",
		"2027-01-31": "2027-01-31T00:00:00Z", "2027-01-31T10:00:00Z": "2027-01-31T10:00:00Z",
	} {
		got, err := expiry(now, in)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("expiry(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "0d", "-1d", "99999d", "-1h", "tomorrow"} {
		if got, err := expiry(now, in); err == nil {
			t.Errorf("expiry(%q) = %v, want an error", in, got)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, stdout, _ := exitOf(t.Context(), "", "version", "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"version":"`+version+`"`) || !strings.Contains(stdout, `"platform":"`) {
		t.Errorf("exit %d, %s", code, stdout)
	}
}
