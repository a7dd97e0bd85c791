package installer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

const queueVerbHelp = `Look after the queue of the launch's asynchronous calls: how full it is, which
calls were given up, and what to do with them.

The queue is reached through the API server and an engine's pod, for which the
kubeconfig's account needs the right to create pods/portforward.`

// queue has the verbs of the satellite's queue.
func (v verbs) queue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue COMMAND",
		Short: "Look after the queue of asynchronous calls",
		Long:  queueVerbHelp,
		Example: `  ` + launchPath + ` queue status
  ` + launchPath + ` queue dead list --algorithm foo/bar
  ` + launchPath + ` queue dead retry req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52`,
	}
	return launchCommands(cmd, v.queueStatus(), v.queueDead(), v.queueDrain(), v.queueBackup(), v.queueRestore(), v.queueRescue())
}

// launchCommands makes a verb that only has others below it.
func launchCommands(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		what := "nothing"
		if len(args) > 0 {
			what = fmt.Sprintf("not %q", args[0])
		}
		return command.UsageError{Err: fmt.Errorf("%s takes one of %s; %s; see '%s --help'", cmd.Name(), strings.Join(names, ", "), what, cmd.CommandPath())}
	}
	for _, c := range below {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

// asked asks the launch's queue.
func asked[T any](ctx context.Context, v verbs, ask func(*queue.Client) (T, error)) (T, error) {
	q, err := install.OpenQueue(ctx, v.folder())
	if err != nil {
		var none T
		return none, err
	}
	defer q.Close()
	answer, err := ask(q)
	return answer, queue.Explain(err)
}

func (v verbs) queueStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the queue does",
		Long: `Show whether the queue takes calls, how many wait and run, how old the oldest
is, how full its disks are, and what was ever lost. Exit code 1 says that it
takes no calls.`,
		Example: `  ` + launchPath + ` queue status
  ` + launchPath + ` queue status -o json | jq .waiting`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			s, err := asked(cmd.Context(), v, func(q *queue.Client) (operate.Status, error) { return q.Status(cmd.Context()) })
			if err != nil {
				return err
			}
			if err := v.flags.print(v.std.Out, s, func(w io.Writer) { printQueueStatus(w, &s, time.Now()) }); err != nil {
				return err
			}
			if s.State == operate.StateUnreachable {
				return fault.Errorf(fault.CodeFailed, "the queue takes no calls: %s", s.Reason)
			}
			return nil
		}),
	}
}

func printQueueStatus(w io.Writer, s *operate.Status, now time.Time) {
	state := s.State
	if s.Reason != "" {
		state += ": " + s.Reason
	}
	fmt.Fprintf(w, "queue\t%s\n", state)
	if s.State == operate.StateOff {
		return
	}
	if s.Draining {
		fmt.Fprintf(w, "draining\tno new calls are taken; 'queue drain --off' takes them again\n")
	}
	fmt.Fprintf(w, "calls\t%d waiting, %d running, %d dead\n", s.Waiting, s.Running, s.Dead)
	if s.Waiting+s.Running > 0 {
		fmt.Fprintf(w, "oldest\t%s\n", (time.Duration(s.OldestSeconds) * time.Second).String())
	}
	storage := ""
	if s.Storage == "ephemeral" {
		storage = "; ephemeral: what it holds ends with its pods"
	}
	fmt.Fprintf(w, "stored\t%s of %s%s\n", inBytes(s.Used), inBytes(s.Limit), storage)
	for _, n := range s.Nodes {
		mark, why := "✓", "ready"
		if !n.Ready {
			mark, why = "✗", n.Reason
		}
		fmt.Fprintf(w, "%s %s\t%s", mark, n.Name, why)
		if n.Total > 0 {
			fmt.Fprintf(w, ", %s of %s free", inBytes(n.Free), inBytes(n.Total))
		}
		fmt.Fprintln(w)
	}
	for _, a := range s.Algorithms {
		fmt.Fprintf(w, "- %s\t%d waiting, %d running, %d dead\n", a.VanityURL, a.Waiting, a.Running, a.Dead)
	}
	for _, l := range s.Lost {
		fmt.Fprintf(w, "! queue lost\t%d accepted calls unaccounted for, found on %s (%s ago)\n", l.Calls,
			l.At.UTC().Format("2006-01-02 15:04Z"), now.Sub(l.At).Round(time.Minute))
	}
}

func inBytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func (v verbs) queueDrain() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Take no new calls, and finish those that are there",
		Long: `Refuse new asynchronous and batch calls (503, with a sentence for the caller)
and finish those that are in the queue. Synchronous calls go on. It lasts, also
when engines start anew, until --off.`,
		Example: `  ` + launchPath + ` queue drain
  ` + launchPath + ` queue drain --off`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			d, err := asked(cmd.Context(), v, func(q *queue.Client) (operate.Drain, error) { return q.Drain(cmd.Context(), !off) })
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, d, func(w io.Writer) {
				if d.On {
					fmt.Fprintln(w, "no new calls are taken; 'queue status' says how many are left, and 'queue drain --off' takes calls again")
				} else {
					fmt.Fprintln(w, "calls are taken again")
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&off, "off", false, "take new calls again")
	return cmd
}

var errNotAsked = errors.New("nothing was done: give --yes to do this")
