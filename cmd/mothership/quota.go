package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/web/component"
)

func newQuotaCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "quota",
		Short: "Say how many bytes the repositories of an owner may take",
	}, newQuotaSetCommand(std), newQuotaListCommand(std), newQuotaRemoveCommand(std))
}

func newQuotaSetCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:     "set OWNER SIZE",
		Short:   "Refuse pushes that would take an owner beyond a size, such as 50GB",
		Example: "  mothership quota set neo 50GB",
		Args:    twoArguments("OWNER and SIZE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			size, err := constellation.ParseByteSize(args[1])
			if err != nil {
				return command.UsageError{Err: err}
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				q, err := s.SetQuota(ctx, control.Shell(), args[0], size)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(std.Out, "%s may take %s\n", q.Owner, component.Bytes(q.Bytes))
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

func newQuotaListCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List quotas",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				quotas, err := s.Quotas(ctx, control.Shell())
				if err != nil {
					return err
				}
				values, rows := []map[string]any{}, [][]string{}
				for _, q := range quotas {
					values = append(values, map[string]any{"owner": q.Owner, "bytes": q.Bytes, "set_at": q.SetAt, "set_by": q.SetBy})
					rows = append(rows, []string{q.Owner, component.Bytes(q.Bytes), q.SetBy, command.Day(&q.SetAt)})
				}
				return output.Print(std, values, []string{"OWNER", "QUOTA", "SET BY", "SET AT"}, rows)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

func newQuotaRemoveCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:   "remove OWNER",
		Short: "Let an owner take any number of bytes",
		Args:  command.OneArgument("OWNER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				if err := s.RemoveQuota(ctx, control.Shell(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(std.Out, "%s has no quota\n", args[0])
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

// everyAlgorithm is the scope of the rule of all algorithms, on a command line.
const everyAlgorithm = "*"

func newRetentionCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "retention",
		Short: "Say which versions of algorithms go by themselves",
	}, newRetentionSetCommand(std), newRetentionListCommand(std), newRetentionRemoveCommand(std))
}

func newRetentionSetCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var r constellation.RetentionRule
	cmd := &cobra.Command{
		Use:   "set SCOPE --keep N --days M",
		Short: "Remove versions that no satellite has, but the newest N, M days after they were pushed",
		Long: `Remove versions that no version of a satellite has, but the newest N of an
algorithm, M days after they were pushed. SCOPE is '*' for every algorithm, an
owner, or OWNER/NAME; the narrowest that fits counts. The next garbage collection
removes them.`,
		Example: "  mothership retention set '*' --keep 20 --days 90\n  mothership retention set neo/hello --keep 5 --days 7",
		Args:    command.OneArgument("SCOPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("keep") || !cmd.Flags().Changed("days") {
				return command.UsageError{Err: fmt.Errorf("--keep and --days go together: how many versions stay, and how long the others do")}
			}
			r.Scope = scopeOf(args[0])
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				_, err := s.SetRetentionRule(ctx, control.Shell(), r)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(std.Out, "%s keeps its newest %d; others that nothing uses go after %s\n", args[0], r.Keep, component.Count(r.Days, "day"))
				return err
			})
		},
	}
	cmd.Flags().IntVar(&r.Keep, "keep", 0, "how many of the newest versions of an algorithm stay")
	cmd.Flags().IntVar(&r.Days, "days", 0, "how many days the others stay")
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

func scopeOf(argument string) string {
	if argument == everyAlgorithm {
		return ""
	}
	return argument
}

func newRetentionListCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List retention rules",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				rules, err := s.RetentionRules(ctx, control.Shell())
				if err != nil {
					return err
				}
				values, rows := []map[string]any{}, [][]string{}
				for _, r := range rules {
					scope := r.Scope
					if scope == "" {
						scope = everyAlgorithm
					}
					values = append(values, map[string]any{"scope": scope, "keep": r.Keep, "days": r.Days, "set_at": r.SetAt, "set_by": r.SetBy})
					rows = append(rows, []string{scope, strconv.Itoa(r.Keep), strconv.Itoa(r.Days), r.SetBy, command.Day(&r.SetAt)})
				}
				return output.Print(std, values, []string{"SCOPE", "KEEP", "DAYS", "SET BY", "SET AT"}, rows)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

func newRetentionRemoveCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:   "remove SCOPE",
		Short: "Remove the rule of a scope",
		Args:  command.OneArgument("SCOPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				if err := s.RemoveRetentionRule(ctx, control.Shell(), scopeOf(args[0])); err != nil {
					return err
				}
				_, err := fmt.Fprintf(std.Out, "%s has no rule\n", args[0])
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

// twoArguments wants two words.
func twoArguments(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 {
			return command.UsageError{Err: fmt.Errorf("give %s; see '%s --help'", what, cmd.CommandPath())}
		}
		return nil
	}
}
