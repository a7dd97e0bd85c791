package installer

import (
	"encoding/json"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// verbs makes the commands of one launch.
type verbs struct {
	std                   command.Streams
	flags                 *launchFlags
	satelliteID, launchID string
}

func (v verbs) folder() store.Folder {
	return store.Folder{Root: v.flags.folder(), Work: v.flags.work, SatelliteID: v.satelliteID, LaunchID: v.launchID}
}

func (l *launchFlags) folder() string {
	for _, root := range []string{l.root, os.Getenv("ALGO_DEPLOYMENT_DIR")} {
		if root != "" {
			return root
		}
	}
	return store.DefaultRoot
}

func (v verbs) progress() *progress.Reporter { return v.flags.progress(v.std) }

// progress goes to stderr: for people, or with -o json an event a line.
func (l *launchFlags) progress(std command.Streams) *progress.Reporter {
	if l.output == "json" {
		return progress.NewEvents(std.Err)
	}
	return progress.New(std.Err)
}

// print writes a result: as JSON, or as text returns it.
func (l *launchFlags) print(out io.Writer, result any, text func(io.Writer)) error {
	if l.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// printLine is print, with JSON in one line.
func (l *launchFlags) printLine(out io.Writer, result any, text func(io.Writer)) error {
	if l.output != "json" {
		return l.print(out, result, text)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(result)
}

func (l *launchFlags) check() error {
	if l.output != "text" && l.output != "json" {
		return command.UsageError{Err: errOutput}
	}
	return nil
}

// run wraps what every verb begins with.
func (v verbs) run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := v.flags.check(); err != nil {
			return err
		}
		return f(cmd, args)
	}
}
