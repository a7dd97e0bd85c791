package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/serve"
)

// newDoctorCommand looks at all that a server needs.
func newDoctorCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check all that the server needs, and change nothing",
		Long: `Check all that the server needs, at once, and change nothing: its settings, the
certificate, the data dir with its permissions and its disk, the database and its
schema, the clocks, the key that opens secrets, the storage of images, and whether
the public URL leads here. Give it the settings that serve gets: the same flags,
environment and file. It runs beside the server or before the first start.

Exit codes: 0 nothing stops the server, 4 something does, 2 the settings cannot
be read.`,
		Example: "  mothership doctor --public-url https://mothership.example.com --data-dir /srv/constellation\n  mothership doctor --config /etc/constellation.yaml -o json",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.Load(cmd); err != nil {
				return err
			}
			findings := serve.Doctor(cmd.Context(), &c, slog.New(slog.DiscardHandler))
			marks := map[string]string{serve.FindingOK: "✓", serve.FindingWarning: "!", serve.FindingProblem: "✗"}
			rows, problems := [][]string{}, 0
			for _, f := range findings {
				rows = append(rows, []string{marks[f.State] + " " + f.Name, f.Message})
				if f.Fix != "" {
					rows = append(rows, []string{"", "→ " + f.Fix})
				}
				if f.State == serve.FindingProblem {
					problems++
				}
			}
			if err := output.Print(std, findings, []string{"", ""}, rows); err != nil {
				return err
			}
			if problems > 0 {
				return stopsServer(problems)
			}
			return cmd.Context().Err()
		},
	}
	cmd.Flags().SortFlags = false
	c.AddServerFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

// stopsServer is how many problems there are.
type stopsServer int

// Error is part of error.
func (n stopsServer) Error() string {
	if n == 1 {
		return "a problem keeps the server from working"
	}
	return fmt.Sprintf("%d problems keep the server from working", int(n))
}

// ExitCode is that of checks that found something.
func (stopsServer) ExitCode() int { return 4 }
