package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// Output is -o: a table for people, or json for programs.
type Output string

func (o *Output) String() string { return string(*o) }

// Type is part of pflag.Value.
func (o *Output) Type() string { return "table|json" }

// Set is part of pflag.Value.
func (o *Output) Set(s string) error {
	if s != "table" && s != "json" {
		return fmt.Errorf("the output is table or json")
	}
	*o = Output(s)
	return nil
}

// JSON reports whether the result is for programs.
func (o *Output) JSON() bool { return *o == "json" }

// Add makes the flag -o of a command, and a table its default.
func (o *Output) Add(cmd *cobra.Command) {
	*o = "table"
	cmd.Flags().VarP(o, "output", "o", "how to print the result")
}

// Print writes rows as a table under a header, or value as JSON.
func (o *Output) Print(std Streams, value any, header []string, rows [][]string) error {
	if o.JSON() {
		encoder := json.NewEncoder(std.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	w := tabwriter.NewWriter(std.Out, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// Day prints a moment for a table.
func Day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// NoArguments refuses words that a verb does not take.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return UsageError{fmt.Errorf("%s takes no argument; not %q", cmd.Name(), args[0])}
	}
	return nil
}

// OneArgument wants one word, and names it when it is missing.
func OneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return UsageError{Err: fmt.Errorf("%s is missing; see '%s --help'", what, cmd.CommandPath())}
		case 1:
			return nil
		}
		return UsageError{Err: fmt.Errorf("unexpected argument %q; see '%s --help'", args[1], cmd.CommandPath())}
	}
}

// Subcommands makes a command that only has others below it.
func Subcommands(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		cmd.SuggestionsMinimumDistance = 2 // a zero suggests nothing
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return UsageError{Err: fmt.Errorf("unknown command %q; did you mean '%s %s'?", args[0], cmd.CommandPath(), near[0])}
		}
		return UsageError{Err: fmt.Errorf("unknown command %q; see '%s --help'", args[0], cmd.CommandPath())}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}
