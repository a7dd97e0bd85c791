package installer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) remove() *cobra.Command {
	var o install.RemoveOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Take the launch off its cluster",
		Long: `Show every object that the launch has on the cluster, ask, and delete them. The
namespace stays, and so does what others made or took over. The images stay in
the registry unless --registry is given: that deletes those which no other
launch and no other installation of this one has claimed there, and says who
uses the rest. The queue's volumes stay unless --delete-volumes is given: calls
that were accepted and have not run, results and dead letters are on them and
nowhere else, and the next deploy goes on with them. The launch's folder stays,
so that it can be deployed again.`,
		Example: `  ` + launchPath + ` remove --dry-run
  ` + launchPath + ` remove --yes --registry`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if o.Timeout <= 0 {
				return command.UsageError{Err: fmt.Errorf("--timeout is more than 0, such as 10m; not %s", o.Timeout)}
			}
			o.Progress = v.progress()
			o.Confirm = func(what *install.RemoveResult) (bool, error) { return v.confirmed(what, yes) }
			r, err := install.Remove(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) { printRemove(w, r) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would be deleted, and delete nothing")
	flags.BoolVar(&o.Volumes, "delete-volumes", false, "delete the queue's volumes too, with the calls and results on them")
	flags.BoolVar(&o.Registry, "registry", false, "delete the images from the registry too that no other launch uses")
	flags.BoolVar(&o.NoWait, "no-wait", false, "do not wait until the pods are gone")
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "how long to wait until the pods are gone")
	addRetryTimeout(flags, &o.RetryTimeout)
	return cmd
}

// confirmed shows what goes and asks whoever sits at the terminal.
func (v verbs) confirmed(what *install.RemoveResult, yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	writeRemoval(v.std.Err, what)
	file, ok := v.std.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false, command.UsageError{Err: errors.New("nothing was deleted: there is no terminal to ask at; give --yes to delete this")}
	}
	fmt.Fprint(v.std.Err, "Delete all of this? Type yes: ")
	line, err := bufio.NewReader(v.std.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimSpace(line) == "yes", nil
}

func writeRemoval(w io.Writer, r *install.RemoveResult) {
	fmt.Fprintf(w, "in namespace %s of %s (version %d):\n", r.Namespace, r.Server, r.Version)
	for _, o := range r.Objects {
		fmt.Fprintf(w, "  - %s\n", o)
	}
	for _, claim := range r.Volumes {
		fmt.Fprintf(w, "  - %s, with the queue's calls and results on it\n", claim)
	}
	for _, image := range r.Images {
		fmt.Fprintf(w, "  - image %s\n", image)
	}
	writeKeptVolumes(w, r)
	writeKept(w, r)
}

// writeKeptVolumes writes what stays of the queue, and what is on it.
func writeKeptVolumes(w io.Writer, r *install.RemoveResult) {
	for _, claim := range r.KeptVolumes {
		fmt.Fprintf(w, "  = %s stays, with the queue's calls and results on it; --delete-volumes deletes it\n", claim)
	}
}

// writeKept writes what stays in the registry though --registry was given, and
// for whom.
func writeKept(w io.Writer, r *install.RemoveResult) {
	if r.Unsure != "" {
		fmt.Fprintf(w, "no image is deleted from the registry, since it is not certain that nobody else uses them: %s\n", r.Unsure)
	}
	for _, kept := range r.Kept {
		fmt.Fprintf(w, "  = image %s stays: used by %s\n", kept.Image, strings.Join(kept.UsedBy, "; "))
	}
}

func printRemove(w io.Writer, r *install.RemoveResult) {
	switch {
	case r.DryRun:
		fmt.Fprint(w, "a removal would delete, ")
		writeRemoval(w, r)
	case !r.Removed:
		fmt.Fprintln(w, "nothing was deleted")
	default:
		fmt.Fprintf(w, "the launch is off namespace %s: %d objects deleted\n", r.Namespace, len(r.Objects))
		for _, o := range r.Held {
			fmt.Fprintf(w, "  ! %s is still there: a finalizer holds it\n", o)
		}
		writeKeptVolumes(w, r)
		writeKept(w, r)
		if len(r.Images) == 0 && len(r.Kept) == 0 && r.Unsure == "" {
			fmt.Fprintln(w, "its images are still in the registry; remove --registry deletes those that no other launch uses")
		}
	}
}
