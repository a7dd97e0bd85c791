package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube"
)

// verbs makes the commands of one launch.
type verbs struct {
	std                   streams
	flags                 *launchFlags
	satelliteID, launchID string
}

func (v verbs) folder() install.Folder {
	return install.Folder{Root: v.flags.folder(), SatelliteID: v.satelliteID, LaunchID: v.launchID}
}

func (l *launchFlags) folder() string {
	for _, root := range []string{l.root, os.Getenv("ALGO_DEPLOYMENT_DIR")} {
		if root != "" {
			return root
		}
	}
	return install.DefaultRoot
}

func (v verbs) progress() *install.Progress { return install.NewProgress(v.std.err) }

// print writes a result: as JSON, or as text gives it.
func (l *launchFlags) print(out io.Writer, result any, text func(io.Writer)) error {
	if l.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	text(w)
	return w.Flush()
}

func (l *launchFlags) check() error {
	if l.output != "text" && l.output != "json" {
		return usageError{errOutput}
	}
	return nil
}

// run wraps what every verb begins with.
func (v verbs) run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := v.flags.check(); err != nil {
			return err
		}
		return f(cmd, args)
	}
}

func (v verbs) get() *cobra.Command {
	var o install.GetOptions
	cmd := &cobra.Command{
		Use:   "get [ADMIN_API_KEY | -]",
		Short: "Download the launch: plan and images",
		Long: `Download the launch's plan and images from its mothership. A download that was
stopped goes on where it was; one that is complete costs a single request.

The API key is read from the environment variable ALGO_ADMIN_API_KEY, or from
stdin when the argument is '-'. Given as an argument it works, and every user
of this machine can read it in the list of processes.`,
		Example: `  ALGO_ADMIN_API_KEY=cst_… ` + launchPath + ` get --mothership https://mothership.example.com
  ` + launchPath + ` get - --mothership mothership.example.com:8443 --ca-file ca.pem < key.txt`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) (err error) {
			if o.Key, err = v.key(args); err != nil {
				return err
			}
			if o.Mothership == "" {
				o.Mothership = os.Getenv("ALGO_MOTHERSHIP")
			}
			o.Progress = v.progress()
			result, err := install.Get(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, result, func(w io.Writer) {
				what := fmt.Sprintf("downloaded version %d: %d algorithms, %s", result.SatelliteVersion, result.Algorithms, install.Size(result.Bytes))
				if result.Unchanged {
					what = fmt.Sprintf("version %d is complete already, nothing to download", result.SatelliteVersion)
				}
				fmt.Fprintf(w, "%s\n%s\n", what, result.Path)
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Mothership, "mothership", "", "host[:port] or URL (default: $ALGO_MOTHERSHIP, else the last one used)")
	flags.StringVar(&o.TLS.CAFile, "ca-file", "", "certificate authority of the mothership, PEM")
	flags.BoolVar(&o.TLS.Insecure, "insecure", false, "do not check the mothership's certificate")
	flags.StringVar(&o.Trust, "trust", "", "id of a new key of the mothership that its admin confirmed")
	return cmd
}

// key finds the API key, the safest place last so that what is written wins.
func (v verbs) key(args []string) (string, error) {
	key := os.Getenv("ALGO_ADMIN_API_KEY")
	switch {
	case len(args) > 1:
		return "", usageError{fmt.Errorf("get takes one API key; not %d words", len(args))}
	case len(args) == 1 && args[0] == "-":
		line, err := bufio.NewReader(io.LimitReader(v.std.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the API key from stdin: %w", err)
		}
		key = line
	case len(args) == 1:
		key = args[0]
		fmt.Fprintln(v.std.err, "warning: other users of this machine can see a key on the command line; set ALGO_ADMIN_API_KEY, or write - and give it on stdin")
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", usageError{errors.New("get needs an API key of the mothership: set ALGO_ADMIN_API_KEY, write - to give it on stdin, or write it as the argument")}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usageError{errors.New("an API key has no spaces or special characters")}
	}
	return key, nil
}

func (v verbs) configure() *cobra.Command {
	return &cobra.Command{
		Use:   "configure [KEY=VALUE…]",
		Short: "Set where the launch goes; with no argument, show it",
		Long: `Set the target's settings, several at once being all or nothing. KEY may begin
with a dot. KEY= takes a setting back. With no argument, all are shown.`,
		Example: `  ` + launchPath + ` configure stage.container_registry=registry.example.com:5000/team
  ` + launchPath + ` configure .stage.kubernetes.kubeconfig_path=/home/algo/cluster.conf .stage.kubernetes.namespace=algorithms
  ` + launchPath + ` configure stage.ingress.provider=nginx stage.replicas.foo/bar=3
  ` + launchPath + ` configure`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			result, err := install.Configure(cmd.Context(), v.folder(), args, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, result, func(w io.Writer) { printConfigured(w, result) })
		}),
	}
}

// printConfigured writes what was set, or all when nothing was.
func printConfigured(w io.Writer, r *install.Configured) {
	for _, value := range r.Set {
		if value.State == "set" {
			fmt.Fprintf(w, "%s = %s\n", value.Key, value.Value)
		} else {
			fmt.Fprintf(w, "%s = %s (%s)\n", value.Key, value.Value, value.State)
		}
	}
	if len(r.Set) == 0 {
		fmt.Fprintln(w, "KEY\tVALUE\tSTATE")
		for _, value := range r.Values {
			fmt.Fprintf(w, "%s\t%s\t%s\n", value.Key, value.Value, value.State)
		}
	}
	if len(r.Needed) > 0 {
		fmt.Fprintf(w, "still needed: %s\n", strings.Join(r.Needed, ", "))
	}
}

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
		Args: noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if o.Timeout <= 0 {
				return usageError{fmt.Errorf("--timeout is more than 0, such as 10m; not %s", o.Timeout)}
			}
			o.Progress = v.progress()
			result, err := install.Deploy(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, result, func(w io.Writer) { printDeploy(w, result) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would change, and change nothing")
	flags.BoolVar(&o.NoWait, "no-wait", false, "end when everything is applied")
	flags.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "how long to wait until all is ready")
	flags.StringSliceVar(&o.Ignored, "ignore", nil, "checks whose problems are warnings, such as 'room for pods'")
	flags.BoolVar(&o.ForceConflicts, "force-conflicts", false, "take fields back that others have set")
	return cmd
}

func printDeploy(w io.Writer, r *install.DeployResult) {
	switch {
	case r.DryRun:
		fmt.Fprintf(w, "deploying version %d to namespace %s would push %d images and make %d changes\n", r.SatelliteVersion, r.Namespace, r.Pushed, len(r.Changes))
		for _, c := range r.Changes {
			fmt.Fprintf(w, "  %s\t%s\n", c.Action, c.Object)
		}
		return
	case r.Ready:
		fmt.Fprintf(w, "version %d is ready in namespace %s\n", r.SatelliteVersion, r.Namespace)
	default:
		fmt.Fprintf(w, "version %d is applied in namespace %s; 'status' says when it is ready\n", r.SatelliteVersion, r.Namespace)
	}
	for _, e := range r.Algorithms {
		fmt.Fprintf(w, "\n%s (%s)\n  %s\n", e.VanityURL, counted(e.Replicas, "replica"), e.Curl)
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

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (v verbs) doctor() *cobra.Command {
	var ignored []string
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check registry and cluster, and change nothing",
		Example: "  " + launchPath + " doctor",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			checks, err := install.Doctor(cmd.Context(), v.folder(), ignored, v.progress())
			if len(checks) > 0 {
				if printErr := v.flags.print(v.std.out, checks, func(w io.Writer) { printChecks(w, checks) }); printErr != nil {
					return printErr
				}
			}
			return err
		}),
	}
	cmd.Flags().StringSliceVar(&ignored, "ignore", nil, "checks whose problems are warnings")
	return cmd
}

func printChecks(w io.Writer, checks []kube.Check) {
	marks := map[kube.State]string{kube.OK: "✓", kube.Warning: "!", kube.Unknown: "?", kube.Problem: "✗"}
	for _, c := range checks {
		fmt.Fprintf(w, "%s %s\t%s\n", marks[c.State], c.Name, c.Message)
	}
}

func (v verbs) status() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what runs on the cluster",
		Example: "  " + launchPath + " status -o json",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			s, err := install.Status(cmd.Context(), v.folder())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, s, func(w io.Writer) {
				fmt.Fprintf(w, "satellite %s in namespace %s: version %d downloaded, %d installed\n", s.Satellite, s.Namespace, s.Downloaded, s.Installed)
				if s.Wanted != s.Installed {
					fmt.Fprintf(w, "the deploy of version %d is not done\n", s.Wanted)
				}
				for _, h := range s.Deployments {
					fmt.Fprintf(w, "  %s\n", h)
				}
			})
		}),
	}
}

func (v verbs) render() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:     "render",
		Short:   "Write the manifests as files, and apply nothing",
		Long:    "Write the manifests into the launch's folder rendered/. They hold the launch's\nsecrets.",
		Example: "  " + launchPath + " render --offline",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Render(cmd.Context(), v.folder(), offline, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) { fmt.Fprintln(w, strings.Join(r.Files, "\n")) })
		}),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "for a current Kubernetes, without asking the cluster")
	return cmd
}

func (v verbs) verify() *cobra.Command {
	var trusted string
	cmd := &cobra.Command{
		Use:     "verify",
		Short:   "Check the signature and every file of the launch",
		Example: "  " + launchPath + " verify",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Verify(cmd.Context(), v.folder(), trusted, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) {
				fmt.Fprintf(w, "%d files, %s, are as the mothership's key %s signed them\n", r.Files, install.Size(r.Bytes), r.KeyID)
			})
		}),
	}
	cmd.Flags().StringVar(&trusted, "trust", "", "id of a new key of the mothership that its admin confirmed")
	return cmd
}

func (v verbs) push() *cobra.Command {
	return &cobra.Command{
		Use:     "push",
		Short:   "Push the launch's images to the configured registry",
		Long:    "Push the launch's images, digests unchanged. The login is that of 'docker login'.",
		Example: "  docker login registry.example.com:5000\n  " + launchPath + " push",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Push(cmd.Context(), v.folder(), v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) {
				fmt.Fprintf(w, "%d of %d images pushed to %s; the others were there\n", r.Pushed, len(r.Images), r.Registry)
			})
		}),
	}
}
