package installer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/egress"
)

func (v verbs) deploy() *cobra.Command {
	var o install.DeployOptions
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Bring the launch onto its cluster",
		Long: `Verify the launch, check registry and cluster, push the images, apply the
manifests, remove what the launch no longer has, and wait until all is ready.
Every step can be repeated. A deploy that fails leaves the version that was
there serving.`,
		Example: `  ` + launchPath + ` deploy --dry-run
  ` + launchPath + ` deploy --timeout 20m`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if err := checkTimeout(o.Timeout); err != nil {
				return err
			}
			o.Progress = v.progress()
			result, err := install.Deploy(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, result, func(w io.Writer) { printDeploy(w, result) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would change, and change nothing")
	addDeployFlags(flags, &o)
	flags.StringVar(&o.Trust, "trust", "", trustAbout)
	return cmd
}

// printEgress prints what algorithms may reach.
func printEgress(w io.Writer, all []egress.Told) {
	for _, told := range all {
		fmt.Fprintln(w, told)
	}
}

// checkTimeout refuses a wait that ends before it begins.
func checkTimeout(d time.Duration) error {
	if d <= 0 {
		return command.UsageError{Err: fmt.Errorf("--timeout is more than 0, such as 10m; not %s", d)}
	}
	return nil
}

// addDeployFlags adds the flags of whatever deploys.
func addDeployFlags(flags *pflag.FlagSet, o *install.DeployOptions) {
	flags.BoolVar(&o.NoWait, "no-wait", false, "end when everything is applied")
	addRetryTimeout(flags, &o.RetryTimeout)
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "how long to wait until all is ready")
	flags.StringSliceVar(&o.Ignored, "ignore", nil, "checks whose problems are warnings, such as 'room for pods'")
	flags.BoolVar(&o.ForceConflicts, "force-conflicts", false, "take fields back that others have set")
}

// addRetryTimeout adds --retry-timeout. --patience is its older name, which goes
// on to work and is not shown.
func addRetryTimeout(flags *pflag.FlagSet, d *time.Duration) {
	const about = "how long to try again when the cluster does not answer"
	flags.DurationVar(d, "retry-timeout", time.Minute, about)
	flags.DurationVar(d, "patience", time.Minute, about)
	flags.Lookup("patience").Hidden = true
}

func printDeploy(w io.Writer, r *install.DeployResult) {
	printEgress(w, r.Egress)
	switch {
	case r.DryRun:
		fmt.Fprintf(w, "deploying version %d to namespace %s would push %d images and make %d changes\n", r.SatelliteVersion, r.Namespace, r.Pushed, len(r.Changes))
		for _, c := range r.Changes {
			fmt.Fprintf(w, "  %s\t%s\n", c.Action, c.Object)
		}
		return
	case r.Pending:
		fmt.Fprintf(w, "version %d is coming up in namespace %s beside the one that serves; run deploy again to switch when it is ready\n", r.SatelliteVersion, r.Namespace)
		return
	case r.Ready:
		fmt.Fprintf(w, "version %d is ready in namespace %s\n", r.SatelliteVersion, r.Namespace)
	default:
		fmt.Fprintf(w, "version %d is applied in namespace %s; 'status' says when it is ready\n", r.SatelliteVersion, r.Namespace)
	}
	if r.Queue != nil {
		fmt.Fprintf(w, "the queue of asynchronous calls: %s\n", r.Queue)
	}
	for _, e := range r.Algorithms {
		fmt.Fprintf(w, "\n%s (%s)\n  %s\n", e.VanityURL, progress.Counted(e.Replicas, "replica"), e.Curl)
	}
	if len(r.Algorithms) == 0 {
		return
	}
	if len(r.Keys) > 0 {
		fmt.Fprintf(w, "\nAPI_KEY is the secret of a key that may call this satellite: %s\n", strings.Join(r.Keys, ", "))
	} else {
		fmt.Fprint(w, "\nno key may call this satellite yet\n")
	}
	fmt.Fprintf(w, "to make one: %s, then get and deploy again\n", r.KeysPage)
}
