package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
)

func newAuditCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{Use: "audit", Short: "Look after the audit log"}, newAuditVerifyCommand(std))
}

// newAuditVerifyCommand computes the chain of the audit log anew.
func newAuditVerifyCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	var noted []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Show whether somebody changed the audit log",
		Long: `Each row of the audit log has a link, a hash of it and of all rows before. This
computes all of them anew: a row that was changed, taken out or put in between
shows. It prints the newest link. Note it elsewhere, or have the log sent
elsewhere as it grows: with --link it shows also when somebody who may write to
the database computed all links anew.

Exit codes: 0 the log is whole, 5 it is not, 1 it could not be read.`,
		Example: "  mothership audit verify\n  mothership audit verify --link 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var links []constellation.AuditLink
			for _, text := range noted {
				link, err := constellation.ParseAuditLink(text)
				if err != nil {
					return command.UsageError{Err: fmt.Errorf("--link: %w", err)}
				}
				links = append(links, link)
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				report, err := s.VerifyAudit(ctx, links)
				if err != nil {
					return err
				}
				if err := printAudit(std, &output, report); err != nil {
					return err
				}
				if len(report.Problems) > 0 {
					return brokenLog{report}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringArrayVar(&noted, "link", nil, "a link that was noted earlier, NUMBER:HASH; several if given again")
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

func printAudit(std command.Streams, output *command.Output, r *control.AuditReport) error {
	removed := "none"
	value := map[string]any{"rows": r.Rows, "pending": r.Pending, "link": "", "removed": r.Start.Seq, "problems": append([]string{}, r.Problems...), "more_problems": r.More}
	if r.Head.Seq > 0 {
		value["link"] = r.Head.String()
	}
	if r.Start.Seq > 0 {
		removed = fmt.Sprintf("%d, before %s", r.Start.Seq, r.Until.Format(time.DateOnly))
		value["removed_until"] = r.Until
	}
	return output.Print(std, value, []string{"ROWS", "WITHOUT A LINK YET", "REMOVED BY RETENTION", "NEWEST LINK"},
		[][]string{{fmt.Sprint(r.Rows), fmt.Sprint(r.Pending), removed, fmt.Sprint(value["link"])}})
}

// brokenLog is an audit log that is not whole.
type brokenLog struct{ report *control.AuditReport }

// Error is part of error.
func (b brokenLog) Error() string {
	text := "the audit log is not as it was written: " + strings.Join(b.report.Problems, "; ")
	if b.report.More > 0 {
		text += fmt.Sprintf("; and %d more", b.report.More)
	}
	return text
}

// ExitCode is that of what lost its integrity.
func (brokenLog) ExitCode() int { return 5 }
