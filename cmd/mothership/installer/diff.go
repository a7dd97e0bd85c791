package installer

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// changesPending is diff's exit code 3, which needs no words.
type changesPending struct{}

func (changesPending) Error() string { return "a deploy would change something" }
func (changesPending) ExitCode() int { return int(fault.CodePending) }
func (changesPending) Silent() bool  { return true }

func (v verbs) diff() *cobra.Command {
	return &cobra.Command{
		Use:   "diff",
		Short: "Show what a deploy would change",
		Long: `Show what a deploy would push and change, field by field, and change nothing;
also what somebody else changed since, as drift, and who.
Of Secrets only a hash is shown. Exit code 3 says that there are changes, 0 that
there are none.`,
		Example: `  ` + launchPath + ` diff
  ` + launchPath + ` diff -o json | jq '.changes[].object'`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Diff(cmd.Context(), v.folder(), v.progress())
			if err != nil {
				return err
			}
			if err := v.flags.print(v.std.Out, r, func(w io.Writer) { printDiff(w, r) }); err != nil {
				return err
			}
			if r.Pending() {
				return changesPending{}
			}
			return nil
		}),
	}
}

func printDiff(w io.Writer, r *install.DiffResult) {
	printEgress(w, r.Egress)
	installed := fmt.Sprintf("version %d installed", r.Installed)
	if r.Installed == 0 {
		installed = "nothing installed"
	}
	if !r.Pending() {
		fmt.Fprintf(w, "no changes: version %d is what namespace %s has\n", r.Version, r.Namespace)
		return
	}
	fmt.Fprintf(w, "namespace %s has %s; version %d would push %d images and change %d objects\n", r.Namespace, installed, r.Version, len(r.Images), len(r.Changes))
	for _, image := range r.Images {
		fmt.Fprintf(w, "  + push %s\n", image)
	}
	marks := map[apply.Action]string{apply.Created: "+", apply.Changed: "~", apply.Deleted: "-", apply.Held: "!"}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "  %s %s%s\n", marks[c.Action], c.Object, why(c))
		for _, f := range c.Fields {
			fmt.Fprintf(w, "      %s: %s → %s\n", f.Path, cmp.Or(f.Old, "(none)"), cmp.Or(f.New, "(none)"))
		}
	}
}

// why returns what is not the version's doing.
func why(c install.ObjectDiff) string {
	switch {
	case c.Action == apply.Held:
		return ": deleted before, and held by the finalizer " + strings.Join(c.Held, ", ")
	case c.Action == apply.Created && len(c.Drift) > 0:
		return ": drift, somebody deleted it"
	case len(c.Drift) > 0:
		return ": drift, changed by " + strings.Join(c.Drift, ", ")
	}
	return ""
}
