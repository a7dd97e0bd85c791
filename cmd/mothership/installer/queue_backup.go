package installer

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/queue"
)

func (v verbs) queueBackup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write what the queue holds into a file",
		Long: `Write into FILE what the queue holds: calls that wait or run with their inputs,
results that are kept, dead letters, batches and when schedules ran. Calls are
taken and run meanwhile. FILE appears once it is whole and on disk; it ends with
a checksum of itself. It has your callers' data: keep it as safe as that.`,
		Example: `  ` + launchPath + ` queue backup /backups/queue-2026-11-29.backup`,
		Args:    command.OneArgument("FILE"),
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			s, err := asked(cmd.Context(), v, func(q *queue.Client) (*queue.Summary, error) {
				return q.Backup(cmd.Context(), args[0], v.progress())
			})
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, s, func(w io.Writer) {
				fmt.Fprintf(w, "%s: ", s.File)
				printBackup(w, s)
			})
		}),
	}
}

func printBackup(w io.Writer, s *queue.Summary) {
	fmt.Fprintf(w, "%d calls that waited or ran, %d results, %d dead letters and %d other records, %s, of %s\n",
		s.Calls, s.Results, s.Dead, s.Items-s.Calls-s.Results-s.Dead, inBytes(s.Bytes), s.At.UTC().Format(time.RFC3339))
}

func (v verbs) queueRestore() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put back what a backup has and the queue has not",
		Long: `Check FILE to its end, and then put back what it has and the queue has not. What
is there already, or has ended since, is left alone, so a restore that was cut
off is just begun again, and nothing is doubled. Calls keep their request ids and
run from then on. A backup is restored once: results are forgotten after a while,
and nothing else would tell which of its calls have run. It asks for --yes.`,
		Example: `  ` + launchPath + ` queue restore /backups/queue-2026-11-29.backup
  ` + launchPath + ` queue restore /backups/queue-2026-11-29.backup --yes`,
		Args: command.OneArgument("FILE"),
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			s, err := queue.CheckBackup(v.folder().LaunchID, args[0], v.progress())
			if err != nil {
				return err
			}
			if !yes {
				fmt.Fprintf(v.std.Err, "%s is whole: ", s.File)
				printBackup(v.std.Err, s)
				return command.UsageError{Err: fmt.Errorf("%w: calls of it that are not in the queue, and have not ended here, run from then on", errNotAsked)}
			}
			r, err := install.RestoreQueue(cmd.Context(), v.folder(), args[0], v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) {
				fmt.Fprintf(w, "restored %s: %d of %d put back, %d were there or had ended\n", r.File, r.Added, r.Items, r.Skipped)
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it")
	return cmd
}
