package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// outputFlag is -o: a table for people, or json for programs.
type outputFlag string

func (o *outputFlag) String() string { return string(*o) }

// Type is part of pflag.Value.
func (o *outputFlag) Type() string { return "table|json" }

// Set is part of pflag.Value.
func (o *outputFlag) Set(s string) error {
	if s != "table" && s != "json" {
		return fmt.Errorf("the output is table or json")
	}
	*o = outputFlag(s)
	return nil
}

func (o *outputFlag) json() bool { return *o == "json" }

func (o *outputFlag) add(cmd *cobra.Command) {
	*o = "table"
	cmd.Flags().VarP(o, "output", "o", "how to print the result")
}

// print writes rows as a table under a header, or value as JSON.
func (o *outputFlag) print(std streams, value any, header []string, rows [][]string) error {
	if o.json() {
		encoder := json.NewEncoder(std.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// day prints a moment for a table.
func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// oneArgument wants one word, and names it when it is missing.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usageError{Err: fmt.Errorf("%s is missing; see '%s --help'", what, cmd.CommandPath())}
		case 1:
			return nil
		}
		return usageError{Err: fmt.Errorf("unexpected argument %q; see '%s --help'", args[1], cmd.CommandPath())}
	}
}

// subcommands makes a command that only has others below it.
func subcommands(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		cmd.SuggestionsMinimumDistance = 2 // a zero suggests nothing
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usageError{Err: fmt.Errorf("unknown command %q; did you mean '%s %s'?", args[0], cmd.CommandPath(), near[0])}
		}
		return usageError{Err: fmt.Errorf("unknown command %q; see '%s --help'", args[0], cmd.CommandPath())}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// newHelpCommand is cobra's own, but for the installer's verbs, and for an
// unknown command, which is a usage error.
func newHelpCommand(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if satellite := installSatellite(found); err == nil && len(rest) > 0 && satellite != nil {
				return helpLaunch(satellite, std, rest, nil)
			}
			if err != nil || len(rest) > 0 {
				return usageError{Err: fmt.Errorf("there is no command %q to help with; see '%s --help'", strings.Join(args, " "), cmd.Root().CommandPath())}
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
