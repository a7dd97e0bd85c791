package installer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/queue"
)

func (v verbs) queueRescue() *cobra.Command {
	var (
		yes     bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "rescue",
		Short: "Go on with the last of three disks, the other two being gone for good",
		Long: `Go on with what the last of three nodes has on its disk. Two empty nodes wait for
a disk that is away, since the one that is left may lack what was accepted last.
Once you are sure that the lost disks do not come back, the empty nodes are filled
from it. Without --yes it says what is there and what may be lost, and ends. What
is missing is told afterwards as any other loss is. Interrupted, it goes on by
itself, and can be repeated.`,
		Example: `  ` + launchPath + ` queue rescue
  ` + launchPath + ` queue rescue --yes`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.PlanQueueRescue(cmd.Context(), v.folder())
			if err != nil {
				return err
			}
			if !yes {
				printRescue(v.std.Err, r)
				return command.UsageError{Err: fmt.Errorf("%w: what the other disks had and %s has not is lost from then on, even if they come back", errNotAsked, r.From.Node)}
			}
			if err := install.RescueQueue(cmd.Context(), v.folder(), r, timeout, v.progress()); err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) {
				fmt.Fprintf(w, "every node has now what %s had: 'queue status' tells what is lost\n", r.From.Node)
			})
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it: what is only on the lost disks is given up")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait until every node has what is left")
	return cmd
}

func printRescue(w io.Writer, r *queue.Rescue) {
	calls := r.Calls()
	fmt.Fprintf(w, "%s has the only disk that is left; %s are empty and would be filled from it\n", r.From.Node, strings.Join(r.Empty, " and "))
	fmt.Fprintf(w, "  there: %d calls and other work, the newest of %s; %d results and other records\n", calls.Messages, when(calls.LastAt), r.Records())
	if r.Noted == nil {
		fmt.Fprintf(w, "  lost: not known, since what the engines noted of the queue cannot be read\n")
		return
	}
	fmt.Fprintf(w, "  noted by the engines on %s: %d calls waited or ran\n", when(r.Noted.Observed), r.Noted.Outstanding)
	fmt.Fprintf(w, "  lost: up to %d of the calls and other work that were stored by then, those stored later, and their results\n", r.Missing)
}

// when writes a time that may not be known.
func when(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}
