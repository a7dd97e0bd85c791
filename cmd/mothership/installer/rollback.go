package installer

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

func (v verbs) rollback() *cobra.Command {
	var o install.RollbackOptions
	cmd := &cobra.Command{
		Use:   "rollback [VERSION]",
		Short: "Bring a version back that was ready on the cluster before",
		Long: `Bring back a satellite version that was ready on the cluster before: VERSION,
or the last one that was ready before what was tried last. After a deploy that
did not get through that is the version that serves: it stays, and what the
deploy left is cleared. 'status' lists the versions that are kept.
It comes up beside the version that serves, as in a deploy. API keys, the launch
token and the registry's login stay as they are now. Needs no mothership.`,
		Example: `  ` + launchPath + ` rollback
  ` + launchPath + ` rollback 3 --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return command.UsageError{Err: fmt.Errorf("rollback takes one version; not %q", args)}
			}
			if len(args) == 1 {
				n, err := strconv.Atoi(args[0])
				if err != nil || n < 1 {
					return command.UsageError{Err: fmt.Errorf("VERSION is a satellite version's number, such as 3; not %q", args[0])}
				}
				o.Version = n
			}
			if o.Timeout <= 0 {
				return command.UsageError{Err: fmt.Errorf("--timeout is more than 0, such as 10m; not %s", o.Timeout)}
			}
			o.Progress = v.progress()
			r, err := install.Rollback(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) { printRollback(w, r) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would change, and change nothing")
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "how long to wait until all is ready")
	addRetryTimeout(flags, &o.RetryTimeout)
	flags.BoolVar(&o.ForceConflicts, "force-conflicts", false, "take fields back that others have set")
	return cmd
}

func printRollback(w io.Writer, r *install.RollbackResult) {
	if r.DryRun {
		fmt.Fprintf(w, "%s: this would make %s in namespace %s\n", r.Describe(false), progress.Counted(len(r.Changes), "change"), r.Namespace)
		for _, c := range r.Changes {
			fmt.Fprintf(w, "  %s\t%s\n", c.Action, c.Object)
		}
		return
	}
	fmt.Fprintf(w, "version %d is ready in namespace %s: %s\n", r.To, r.Namespace, r.Describe(false))
	if r.Downloaded != r.To {
		fmt.Fprintf(w, "the next deploy brings version %d, which this folder has; to keep version %d, have the mothership's admin give the launch that version\n", r.Downloaded, r.To)
	}
}
