package installer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

const (
	someSatellite = "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab"
	someLaunch    = "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345"
)

// tree is the installer by itself, or below the program that it is part of.
func tree(name string, std command.Streams) *cobra.Command {
	root := NewCommand(std)
	if name == "mothership" {
		root = command.Subcommands(&cobra.Command{Use: name}, root)
	}
	root.SetHelpCommand(NewHelpCommand(std))
	return root
}

// algoInstall runs one command line of the installer.
func algoInstall(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = command.Run(t.Context(), append([]string{"algo-install"}, args...), command.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, tree)
	return code, out.String(), errs.String()
}

// --retry-timeout and its older name are one setting, of which help shows the new
// name alone.
func TestRetryTimeoutHasItsOlderName(t *testing.T) {
	for _, name := range []string{"--retry-timeout", "--patience"} {
		var d time.Duration
		flags := pflag.NewFlagSet("deploy", pflag.ContinueOnError)
		addRetryTimeout(flags, &d)
		if d != time.Minute {
			t.Errorf("the default is %s, want 1m", d)
		}
		if err := flags.Parse([]string{name, "7s"}); err != nil || d != 7*time.Second {
			t.Errorf("%s 7s = %s, %v", name, d, err)
		}
	}
	for _, verb := range []string{"deploy", "rollback", "remove"} {
		code, out, errs := algoInstall(t, "", "satellite", someSatellite, someLaunch, verb, "--help")
		if code != 0 || !strings.Contains(out, "--retry-timeout") || strings.Contains(out, "--patience") {
			t.Errorf("%s --help: exit code %d, %s%s", verb, code, out, errs)
		}
		if code, _, errs := algoInstall(t, "", "satellite", someSatellite, someLaunch, verb, "--patience", "x"); code != 2 || !strings.Contains(errs, "--patience") {
			t.Errorf("%s --patience x: exit code %d, %s", verb, code, errs)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Setenv("ALGO_DEPLOYMENT_DIR", t.TempDir())
	tests := []struct {
		line []string
		want []string
		not  string
	}{
		{[]string{"sat"}, []string{"satellite"}, ""},
		{[]string{"satellite", ""}, []string{"list"}, "deploy"},
		{[]string{"satellite", someSatellite, someLaunch, ""}, []string{"get", "configure", "deploy", "status", "diff", "rollback", "remove", "doctor", "logs"}, "no-help"},
		{[]string{"satellite", someSatellite, someLaunch, "ro"}, []string{"rollback"}, "remove"},
		{[]string{"satellite", someSatellite, someLaunch, "deploy", "--t"}, []string{"--timeout"}, "--retry-timeout"},
		{[]string{"satellite", someSatellite, someLaunch, "deploy", "--t"}, []string{"--timeout"}, "--patience"},
		{[]string{"satellite", someSatellite, someLaunch, "configure", "stage.kubernetes.n"}, []string{"stage.kubernetes.namespace="}, "context"},
		{[]string{"satellite", "--deployment-dir", "/x", someSatellite, someLaunch, "rem"}, []string{"remove"}, ""},
	}
	for _, test := range tests {
		code, out, _ := algoInstall(t, "", append([]string{"__complete"}, test.line...)...)
		if code != 0 {
			t.Errorf("completing %q: exit code %d", test.line, code)
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("completing %q gives %q, want %s", test.line, out, want)
			}
		}
		if test.not != "" && strings.Contains(out, test.not) {
			t.Errorf("completing %q gives %q, with %s", test.line, out, test.not)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, errs := algoInstall(t, "", "completion", shell); code != 0 || !strings.Contains(out, "algo-install") {
			t.Errorf("completion %s: exit code %d, %d bytes, %s", shell, code, len(out), errs)
		}
	}
}

// Every verb has help with an example that begins as a command line does.
func TestHelpOfEachVerb(t *testing.T) {
	launch := newLaunchCommand(command.Streams{}, "", "")
	for _, verb := range launch.Commands() {
		code, out, errs := algoInstall(t, "", "satellite", someSatellite, someLaunch, verb.Name(), "--help")
		if code != 0 || !strings.Contains(out, "Examples:") || !strings.Contains(out, launchPath+" "+verb.Name()) {
			t.Errorf("%s --help: exit code %d: %s%s", verb.Name(), code, out, errs)
		}
	}
}

// The help of configure says of every key what it is.
func TestHelpOfEachSetting(t *testing.T) {
	_, out, _ := algoInstall(t, "", "satellite", someSatellite, someLaunch, "configure", "--help")
	for _, s := range settings.All() {
		if s.About == "" || !strings.Contains(out, s.Key) || !strings.Contains(out, s.About) {
			t.Errorf("configure --help does not say what %s is", s.Key)
		}
	}
}

func TestInstallUsageErrors(t *testing.T) {
	t.Setenv("ALGO_DEPLOYMENT_DIR", t.TempDir())
	launch := func(args ...string) []string {
		return append([]string{"satellite", someSatellite, someLaunch}, args...)
	}
	tests := []struct {
		line []string
		want string
	}{
		{launch("rollback", "two"), `not "two"`},
		{launch("rollback", "1", "2"), "one version"},
		{launch("rollback", "--timeout", "0s"), "--timeout"},
		{launch("remove", "now"), `not "now"`},
		{launch("logs", "a/b", "c/d"), "one vanity URL"},
		{launch("render", "--helm", "a", "--kustomize", "b"), "either"},
		{launch("render", "--no-secrets"), "goes with"},
		{launch("diff", "-o", "yaml"), "text or json"},
		{launch("rolback"), `"rollback"`},
	}
	for _, test := range tests {
		if code, _, errs := algoInstall(t, "", test.line...); code != 2 || !strings.Contains(errs, test.want) {
			t.Errorf("%q: exit code %d: %s; want 2 and %q", test.line[3:], code, errs, test.want)
		}
	}
	for _, verb := range []string{"deploy", "doctor", "status", "diff", "rollback", "remove", "logs", "configure"} {
		if code, _, errs := algoInstall(t, "", launch(verb)...); code != 1 || !strings.Contains(errs, "download it first") {
			t.Errorf("%s of a launch that is not there: exit code %d: %s", verb, code, errs)
		}
	}
}

// Help comes before any check, with any words where the IDs stand.
func TestHelpBeforeAnyCheck(t *testing.T) {
	t.Setenv("ALGO_DEPLOYMENT_DIR", t.TempDir())
	tests := []struct {
		line []string
		want string // "" is the general help
	}{
		{[]string{"satellite", "SATELLITE_ID", "LAUNCH_ID", "deploy", "--help"}, "deploy"},
		{[]string{"satellite", "SATELLITE_ID", "LAUNCH_ID", "deploy", "-h"}, "deploy"},
		{[]string{"satellite", "--help", "SATELLITE_ID", "LAUNCH_ID", "deploy"}, "deploy"},
		{[]string{"satellite", "6f1d…-…", "9b2c…-…", "configure", "--help", "stage.fqdn=x"}, "configure"},
		{[]string{"satellite", "get", "status", "verify", "--help"}, "verify"},
		{[]string{"satellite", someSatellite, someLaunch, "rollback", "--help"}, "rollback"},
		{[]string{"satellite", "deploy", "--help"}, "deploy"},
		{[]string{"satellite", "help", "deploy"}, "deploy"},
		{[]string{"satellite", "X", "Y", "help", "deploy"}, "deploy"},
		{[]string{"satellite", "help", "import"}, "import"},
		{[]string{"satellite", "import", "--help"}, "import"},
		{[]string{"help", "deploy"}, "deploy"},
		{[]string{"help", "satellite", "deploy"}, "deploy"},
		{[]string{"help", "satellite", "SATELLITE_ID", "LAUNCH_ID", "logs"}, "logs"},
		{[]string{"satellite", "SATELLITE_ID", "LAUNCH_ID", "--help"}, ""},
		{[]string{"satellite", "SATELLITE_ID", "--help"}, ""},
		{[]string{"satellite", "X", "Y", "help"}, ""},
		{[]string{"satellite", "--help"}, ""},
		{[]string{"help", "satellite"}, ""},
	}
	for _, test := range tests {
		code, out, errs := algoInstall(t, "", test.line...)
		want := "Verbs:"
		if test.want != "" {
			want = " " + test.want
		}
		usage, _, _ := strings.Cut(out[max(0, strings.Index(out, "Usage:")):], "\n\n")
		if code != 0 || !strings.Contains(out, want) || test.want != "" && !strings.Contains(usage, " "+test.want) {
			t.Errorf("%q: exit code %d: %s%s; want the help of %q", test.line, code, out, errs, test.want)
		}
	}
	for _, line := range [][]string{
		{"satellite", "SATELLITE_ID", "LAUNCH_ID", "rolback", "--help"}, {"help", "rolback"}, {"satellite", "help", "rolback"},
	} {
		if code, _, errs := algoInstall(t, "", line...); code != 2 || !strings.Contains(errs, `"rollback"`) {
			t.Errorf("%q: exit code %d: %s; want 2 and the right verb", line, code, errs)
		}
	}
	var out, errs bytes.Buffer
	if code := command.Run(t.Context(), []string{"mothership", "help", "algo-install", "deploy"}, command.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, tree); code != 0 || !strings.Contains(out.String(), "deploy --dry-run") {
		t.Errorf("mothership help algo-install deploy: exit code %d: %s%s", code, out.String(), errs.String())
	}
	out.Reset()
	if code := command.Run(t.Context(), []string{"mothership", "algo-install", "help", "deploy"}, command.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, tree); code != 0 || !strings.Contains(out.String(), "deploy --dry-run") {
		t.Errorf("mothership algo-install help deploy: exit code %d: %s%s", code, out.String(), errs.String())
	}
}

// Whatever a folder, a file or a word of the line holds, nothing that is
// printed moves the cursor, clears a line or turns text around.
func TestNothingPrintedIsObeyed(t *testing.T) {
	const evil = "\x1b[2K\x1b[1A\rverified\u009b2K\u202e"
	t.Setenv("ALGO_DEPLOYMENT_DIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "x"+evil)
	if err := os.WriteFile(file, []byte(evil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{
		{"satellite", "import", file},
		{"satellite", "import", evil},
		{"satellite", "import", evil, "-o", "json"},
		{"satellite", someSatellite, someLaunch, evil},
		{"satellite", someSatellite, someLaunch, "status", "--deployment-dir", evil},
		{evil},
	} {
		code, out, errs := algoInstall(t, "", line...)
		if code == 0 || !strings.Contains(errs, "verified") {
			t.Errorf("%q: exit code %d: %s", line, code, errs)
		}
		for _, text := range []string{out, errs} {
			if strings.ContainsAny(text, "\x1b\r\u009b\u202e") {
				t.Errorf("%q printed %q", line, text)
			}
		}
	}
}
