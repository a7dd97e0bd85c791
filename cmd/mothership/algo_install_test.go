package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
)

const (
	someSatellite = "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab"
	someLaunch    = "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345"
)

// algoInstall runs one command line of the installer.
func algoInstall(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"algo-install"}, args...), streams{strings.NewReader(stdin), &out, &errs})
	return code, out.String(), errs.String()
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
	launch := newLaunchCommand(streams{}, "", "")
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
	for _, s := range install.Settings() {
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
