package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/terminal"
)

// UsageError is a command line or a setting that cannot be used; its exit code
// is 2.
type UsageError struct{ Err error }

// Error is part of error.
func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the line.
func (e UsageError) Unwrap() error { return e.Err }

// ExitCode returns 2, by the custom of Unix for a command line that is wrong.
func (UsageError) ExitCode() int { return 2 }

// Run executes one command line of the tree that root makes for the program's
// name, args[0], and returns the process's exit code: 0 done, 2 usage, an
// error's own ExitCode, else 1.
func Run(ctx context.Context, args []string, std Streams, root func(name string, std Streams) *cobra.Command) int {
	std.Out, std.Err = terminal.NewCleaner(std.Out), terminal.NewCleaner(std.Err)
	cmd := root(args[0], std)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(std.In)
	cmd.SetOut(std.Out)
	cmd.SetErr(std.Err)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return UsageError{Err: fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	cmd.SetArgs(args[1:])
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var silent interface{ Silent() bool }
	if !errors.As(err, &silent) || !silent.Silent() {
		fmt.Fprintf(std.Err, "%s: %s\n", cmd.Name(), message(err))
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
