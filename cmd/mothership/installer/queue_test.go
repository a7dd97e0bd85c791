package installer

import (
	"strings"
	"testing"
)

// Every verb below queue has help, wherever --help stands, with an example that
// begins as a command line does.
func TestQueueHelp(t *testing.T) {
	for line, want := range map[string]string{
		"queue --help":                 "Commands:",
		"queue status --help":          "queue status",
		"queue --help status":          "queue status",
		"queue dead --help":            "Commands:",
		"queue dead list --help":       "--limit",
		"queue dead show --help":       "queue dead show",
		"queue dead retry req-1 -h":    "--all",
		"--help queue dead drop --yes": "--yes",
		"queue drain --off --help":     "--off",
		"queue backup x --help":        "queue backup",
		"queue restore x --yes --help": "restored once",
		"queue rescue --yes --help":    "what may be lost",
	} {
		code, out, errs := algoInstall(t, "", append([]string{"satellite", someSatellite, someLaunch}, strings.Fields(line)...)...)
		if code != 0 || !strings.Contains(out, launchPath+" queue") || want != "Commands:" && !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, %s%s; want %q", line, code, out, errs, want)
		}
	}
}

func TestQueueBadInput(t *testing.T) {
	for line, want := range map[string]string{
		"queue":                               "takes one of backup, dead, drain, rescue, restore, status",
		"queue stat":                          `not "stat"`,
		"queue dead":                          "takes one of drop, list, retry, show",
		"queue status now":                    `takes no argument; not "now"`,
		"queue dead show":                     "ID is missing",
		"queue dead list --limit 0":           "--limit is a whole number from 1",
		"queue dead list --limit x":           "--limit",
		"queue dead retry":                    "name their IDs",
		"queue dead retry req-1 --all":        "not both",
		"queue dead drop req-1":               "nothing was done: give --yes",
		"queue dead drop --all --algorithm x": "nothing was done: give --yes",
		"queue backup":                        "FILE is missing",
		"queue backup a b":                    `unexpected argument "b"`,
		"queue drain --on":                    "unknown flag",
		"queue rescue queue-1":                `takes no argument; not "queue-1"`,
		"queue status -o xml":                 "--output is text or json",
	} {
		code, out, errs := algoInstall(t, "", append([]string{"satellite", someSatellite, someLaunch}, strings.Fields(line)...)...)
		if code != 2 || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%s: exit code %d, %s%s; want 2 and %q", line, code, out, errs, want)
		}
	}
}
