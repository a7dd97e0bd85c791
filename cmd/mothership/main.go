// Command mothership is all of Constellation in one binary: the server, its
// administration, the installer and the satellite's runtime.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are what a command reads and writes: results go to out, progress
// and messages to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// raw are the streams of what prints its own bytes, or another program's for
// which it stands: nothing that they are given is changed.
func (s streams) raw() streams {
	unwrap := func(w io.Writer) io.Writer {
		if c, ok := w.(*terminal.Cleaner); ok {
			return c.Unwrap()
		}
		return w
	}
	return streams{s.in, unwrap(s.out), unwrap(s.err)}
}

// data is where the bytes of others go: a program gets them as they are, and a
// terminal what it does not obey.
func (s streams) data() io.Writer {
	if terminal.File(s.out) != nil {
		return s.out
	}
	return s.raw().out
}

// run executes one command line and returns the process's exit code: 0 done,
// 2 usage, an error's own ExitCode, else 1.
func run(ctx context.Context, args []string, std streams) int {
	std.out, std.err = terminal.NewCleaner(std.out), terminal.NewCleaner(std.err)
	root := newRootCommand(args[0], std)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var silent interface{ Silent() bool }
	if !errors.As(err, &silent) || !silent.Silent() {
		fmt.Fprintf(std.err, "%s: %s\n", root.Name(), message(err))
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// message is what the user reads: a domain error's own sentence, or the chain
// of any other.
func message(err error) string {
	var e *constellation.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if len(e.Fields) <= 1 {
		return e.Message
	}
	lines := []string{e.Message + ":"}
	for _, f := range e.Fields {
		lines = append(lines, "  "+f.Field+": "+f.Message)
	}
	return strings.Join(lines, "\n")
}

// usageError is a command line that cannot be read; its exit code is 2.
type usageError = serve.UsageError

// newRootCommand is the mothership's command tree, or the installer's alone
// when the binary is called through a link named algo-install.
func newRootCommand(name string, std streams) *cobra.Command {
	var root *cobra.Command
	if filepath.Base(name) == "algo-install" {
		root = newAlgoInstallCommand(std)
	} else {
		root = subcommands(&cobra.Command{
			Use:   "mothership",
			Short: "Distribute algorithms from where they are developed to where they must run",
		},
			serve.NewCommand(serve.Build{Version: version, Commit: buildCommit()}),
			newMigrateCommand(std),
			newAccountCommand(std),
			newAPIKeyCommand(std),
			newSigningKeyCommand(std),
			newSecretKeyCommand(std),
			newGCCommand(std),
			newAuditCommand(std),
			newStorageCommand(std),
			newDoctorCommand(std),
			newQuotaCommand(std),
			newRetentionCommand(std),
			newAlgoInstallCommand(std),
			newSatelliteCommand(std.raw()),
			newVersionCommand(std),
			newSeedCommand(std),
		)
	}
	root.SetHelpCommand(newHelpCommand(std))
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{Err: fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	return root
}
