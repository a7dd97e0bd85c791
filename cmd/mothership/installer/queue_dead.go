package installer

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// queueDead has the verbs of dead letters.
func (v verbs) queueDead() *cobra.Command {
	return launchCommands(&cobra.Command{
		Use:   "dead COMMAND",
		Short: "List, show, retry or drop calls that were given up",
		Long: `List, show, retry or drop dead letters: calls that were tried as often as they
may be, or that cannot be read. A dead letter is kept a week at the least.`,
		Example: `  ` + launchPath + ` queue dead list
  ` + launchPath + ` queue dead show req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52
  ` + launchPath + ` queue dead retry --all --algorithm foo/bar`,
	}, v.queueDeadList(), v.queueDeadShow(), v.queueDeadRetry(), v.queueDeadDrop())
}

func (v verbs) queueDeadList() *cobra.Command {
	var algorithm string
	limit := operate.DefaultLimit
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the newest calls that were given up",
		Example: `  ` + launchPath + ` queue dead list --algorithm foo/bar --limit 20
  ` + launchPath + ` queue dead list -o json | jq -r '.dead_letters[].id'`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > operate.MaxLimit {
				return command.UsageError{Err: fmt.Errorf("--limit is a whole number from 1 to %d; not %d", operate.MaxLimit, limit)}
			}
			list, err := asked(cmd.Context(), v, func(q *queue.Client) (operate.DeadLetters, error) {
				return q.DeadLetters(cmd.Context(), algorithm, limit)
			})
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, list, func(w io.Writer) { printDeadLetters(w, &list) })
		}),
	}
	cmd.Flags().StringVar(&algorithm, "algorithm", "", "only those of this vanity URL")
	cmd.Flags().IntVar(&limit, "limit", limit, "so many at most")
	return cmd
}

func printDeadLetters(w io.Writer, list *operate.DeadLetters) {
	if len(list.Items) == 0 {
		fmt.Fprintln(w, "no dead letters")
		return
	}
	fmt.Fprintln(w, "ID\tALGORITHM\tGIVEN UP\tATTEMPTS\tREASON")
	for _, l := range list.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", l.ID, l.VanityURL, command.Day(&l.DiedAt), l.Attempts, oneLine(l.Reason))
	}
	if n := uint64(len(list.Items)); n < list.Total {
		fmt.Fprintf(w, "… of %d in all\n", list.Total)
	}
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 120 {
		text = string(runes[:119]) + "…"
	}
	return text
}

func (v verbs) queueDeadShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show one call that was given up, with its input and last output",
		Example: `  ` + launchPath + ` queue dead show req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52 -o json`,
		Args:    command.OneArgument("ID"),
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			l, err := asked(cmd.Context(), v, func(q *queue.Client) (operate.DeadLetter, error) { return q.DeadLetter(cmd.Context(), args[0]) })
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, l, func(w io.Writer) { printDeadLetter(w, &l) })
		}),
	}
}

// maxShown is how much of an input or output is shown to people; -o json has all.
const maxShown = 2000

func printDeadLetter(w io.Writer, l *operate.DeadLetter) {
	fmt.Fprintf(w, "id\t%s\nalgorithm\t%s\nreason\t%s\nattempts\t%d\n", l.ID, l.VanityURL, l.Reason, l.Attempts)
	if !l.CreatedAt.IsZero() {
		fmt.Fprintf(w, "accepted\t%s\n", l.CreatedAt.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, "given up\t%s\n", l.DiedAt.UTC().Format(time.RFC3339))
	fmt.Fprintf(w, "input\t%d bytes %s\n\t%s\n", l.InputBytes, l.ContentType, shown(l.Input))
	if l.LastStatus != 0 {
		fmt.Fprintf(w, "last answer\t%d\n\t%s\n", l.LastStatus, shown(l.LastOutput))
	}
}

// shown is data as a terminal may have it.
func shown(data []byte) string {
	if len(data) > maxShown {
		return shown(data[:maxShown]) + "…"
	}
	if !utf8.Valid(data) {
		return "(not text; -o json has it in base64)"
	}
	text, err := json.Marshal(string(data))
	if err != nil || len(data) == 0 {
		return "(empty)"
	}
	return string(text)
}

// maxAtOnce is how many dead letters one request is about.
const maxAtOnce = 500

func (v verbs) queueDeadRetry() *cobra.Command {
	return v.queueDeadEach("retry", "Put calls that were given up back into the queue",
		"Put dead letters back at the end of the queue. Each keeps its request id, and\nhas all its attempts again.", false,
		func(cmd *cobra.Command, q *queue.Client, ids []string) (operate.BulkResult, error) {
			return q.Retry(cmd.Context(), ids)
		})
}

func (v verbs) queueDeadDrop() *cobra.Command {
	return v.queueDeadEach("drop", "Forget calls that were given up",
		"Forget dead letters: their inputs are deleted and cannot be tried again. What\ntheir callers are told stays as long as results are kept. It asks for --yes.", true,
		func(cmd *cobra.Command, q *queue.Client, ids []string) (operate.BulkResult, error) {
			return q.Drop(cmd.Context(), ids)
		})
}

func (v verbs) queueDeadEach(verb, short, long string, ask bool, do func(*cobra.Command, *queue.Client, []string) (operate.BulkResult, error)) *cobra.Command {
	var (
		all, yes  bool
		algorithm string
	)
	cmd := &cobra.Command{
		Use: verb + " [ID...]", Short: short, Long: long,
		Example: `  ` + launchPath + ` queue dead ` + verb + ` req-0b5c3f0e-6f0d-8f7e-9d56-0f6c8b1f3a52
  ` + launchPath + ` queue dead ` + verb + ` --all --algorithm foo/bar`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, ids []string) error {
			switch {
			case len(ids) == 0 && !all:
				return command.UsageError{Err: fmt.Errorf("which? name their IDs, as 'queue dead list' shows them, or give --all")}
			case len(ids) > 0 && (all || algorithm != ""):
				return command.UsageError{Err: fmt.Errorf("either IDs or --all, not both")}
			case ask && !yes:
				return command.UsageError{Err: fmt.Errorf("%w: the inputs of these calls are deleted and cannot be tried again", errNotAsked)}
			}
			done, err := asked(cmd.Context(), v, func(q *queue.Client) (operate.BulkResult, error) {
				return eachDead(cmd, q, ids, algorithm, do)
			})
			if err != nil {
				return err
			}
			if err := v.flags.print(v.std.Out, done, func(w io.Writer) { printDone(w, verb, &done) }); err != nil {
				return err
			}
			if len(done.Failed) > 0 {
				return fault.Errorf(fault.CodeFailed, "%d of %d were not done", len(done.Failed), done.Done+len(done.Failed))
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&all, "all", false, "all that there are now")
	flags.StringVar(&algorithm, "algorithm", "", "with --all: only those of this vanity URL")
	if ask {
		flags.BoolVarP(&yes, "yes", "y", false, "do it: what is dropped is gone")
	}
	return cmd
}

// eachDead does something with the dead letters of some ids, or with all.
func eachDead(cmd *cobra.Command, q *queue.Client, ids []string, algorithm string, do func(*cobra.Command, *queue.Client, []string) (operate.BulkResult, error)) (operate.BulkResult, error) {
	sum := operate.BulkResult{Failed: []operate.ItemError{}}
	for listed := len(ids) == 0; ; {
		if listed {
			list, err := q.DeadLetters(cmd.Context(), algorithm, maxAtOnce)
			if err != nil {
				return sum, err
			}
			ids = nil
			for _, l := range list.Items {
				ids = append(ids, l.ID)
			}
		}
		n := min(len(ids), maxAtOnce)
		if n == 0 {
			return sum, nil
		}
		done, err := do(cmd, q, ids[:n])
		sum.Done += done.Done
		sum.Failed = append(sum.Failed, done.Failed...)
		// What is left would be listed for ever.
		if err != nil || listed && done.Done == 0 {
			return sum, err
		}
		if listed {
			sum.Failed = sum.Failed[:0:0]
		}
		ids = ids[n:]
	}
}

func printDone(w io.Writer, verb string, done *operate.BulkResult) {
	fmt.Fprintf(w, "%s: done with %d\n", verb, done.Done)
	for _, l := range done.Failed {
		fmt.Fprintf(w, "! %s\t%s\n", l.ID, l.Reason)
	}
}
