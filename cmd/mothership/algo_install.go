package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/constellation-serving/constellation/internal/install"
)

// launchPath is how a launch's commands begin, in usage lines and messages.
const launchPath = "algo-install satellite SATELLITE_ID LAUNCH_ID"

// newAlgoInstallCommand is the installer (DESIGN section 6).
func newAlgoInstallCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "algo-install",
		Short: "Download a satellite's launch and deploy it to a Kubernetes cluster",
		Long: `Download a satellite's launch from its mothership, carry it if needed, and
deploy it to a Kubernetes cluster through that cluster's private registry.`,
		Example: installExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usageError{fmt.Errorf("there is no command %q; did you mean %q", args[0], launchPath)}
		},
	}
	cmd.AddCommand(newInstallSatelliteCommand(std))
	return cmd
}

const installExample = `  export ALGO_ADMIN_API_KEY=cst_…
  algo-install satellite 6f1d…-… 9b2c…-… get --mothership https://mothership.example.com
  algo-install satellite 6f1d…-… 9b2c…-… configure \
    stage.container_registry=registry.example.com:5000/team \
    stage.kubernetes.kubeconfig_path=/home/algo/cluster.conf \
    stage.kubernetes.namespace=algorithms
  algo-install satellite 6f1d…-… 9b2c…-… deploy
  algo-install satellite list`

// newInstallSatelliteCommand takes the IDs before the verb, as the original
// does; cobra cannot, so the rest of the line goes to a command of its own.
func newInstallSatelliteCommand(std streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "satellite SATELLITE_ID LAUNCH_ID VERB",
		Short: "Work on a satellite's launches",
		Long: `Work on one launch of a satellite. The launch's page on the mothership shows
both IDs and the whole command.

Verbs:
` + verbTable(newLaunchCommand(std, "", "")) + `
'` + launchPath + ` VERB --help' says more of each.

Exit codes: 0 done, 1 failed, 2 usage, 3 changes pending (diff), 4 preflight,
5 integrity, 6 authentication, 7 network, 8 timeout.`,
		Example:            installExample,
		DisableFlagParsing: true,
		ValidArgsFunction:  completeLaunch(std),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLaunch(cmd, std, args)
		},
	}
	cmd.AddCommand(newInstallListCommand(std), newInstallImportCommand(std))
	for _, c := range cmd.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

func verbTable(launch *cobra.Command) string {
	var b strings.Builder
	for _, verb := range launch.Commands() {
		fmt.Fprintf(&b, "  %-10s %s\n", verb.Name(), verb.Short)
	}
	return b.String()
}

// runLaunch reads SATELLITE_ID LAUNCH_ID VERB, wherever flags stand between
// them, and runs the verb.
func runLaunch(cmd *cobra.Command, std streams, args []string) error {
	help := slices.Contains(args, "--help") || slices.Contains(args, "-h")
	ids, rest := splitIDs(newLaunchCommand(std, "", ""), args)
	verbs := newLaunchCommand(std, "", "")
	isVerb := func(s string) bool {
		return slices.ContainsFunc(verbs.Commands(), func(c *cobra.Command) bool { return c.Name() == s })
	}
	switch {
	case len(ids) > 0 && isVerb(ids[0]):
		if !help {
			return usageError{fmt.Errorf("the IDs come before the verb: %s %s", launchPath, ids[0])}
		}
		verbs.SetArgs([]string{ids[0], "--help"})
		return verbs.ExecuteContext(cmd.Context())
	case len(ids) < 2 && (help || len(args) == 0):
		return cmd.Help()
	case len(ids) == 1 && uuid.Validate(ids[0]) != nil:
		near := install.Nearest(ids[0], append(verbNames(verbs), "list", "import"))
		if near != "list" && near != "import" {
			near = "SATELLITE_ID LAUNCH_ID " + near
		}
		return usageError{fmt.Errorf("there is no command %q; did you mean %q", "satellite "+ids[0], "satellite "+near)}
	case len(ids) < 2:
		return usageError{fmt.Errorf("a launch is named by two IDs: %s VERB; 'algo-install satellite list' shows those on this machine", launchPath)}
	}
	for i, what := range []string{"SATELLITE_ID", "LAUNCH_ID"} {
		if _, err := uuid.Parse(ids[i]); err != nil || len(ids[i]) != 36 {
			return usageError{fmt.Errorf("%s is a UUID such as 6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab; not %q", what, ids[i])}
		}
	}
	launch := newLaunchCommand(std, strings.ToLower(ids[0]), strings.ToLower(ids[1]))
	if len(ids) == 2 {
		if help {
			return launch.Help()
		}
		return usageError{fmt.Errorf("what to do? verbs are %s; see 'algo-install satellite --help'", strings.Join(verbNames(launch), ", "))}
	}
	if !isVerb(ids[2]) {
		return usageError{fmt.Errorf("there is no verb %q; did you mean %q", ids[2], install.Nearest(ids[2], verbNames(launch)))}
	}
	klog.SetLogger(logr.Discard()) // the Kubernetes client's own lines are no messages of ours
	launch.SetArgs(append([]string{ids[2]}, rest...))
	return launch.ExecuteContext(cmd.Context())
}

// splitIDs takes up to three words that are no flags off the front; flags
// before them stay in rest.
func splitIDs(launch *cobra.Command, args []string) (ids, rest []string) {
	for i := 0; i < len(args); i++ {
		switch {
		case len(ids) == 3:
			return ids, append(rest, args[i:]...)
		case !strings.HasPrefix(args[i], "-") || args[i] == "-":
			ids = append(ids, args[i])
		default:
			rest = append(rest, args[i])
			if takesValue(launch, args[i]) && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
		}
	}
	return ids, rest
}

// takesValue says whether a flag's value is the next word.
func takesValue(launch *cobra.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, c := range append(launch.Commands(), launch) {
		flag := c.Flags().Lookup(name)
		if flag == nil {
			flag = c.PersistentFlags().Lookup(name)
		}
		if flag == nil && len(name) == 1 {
			flag = c.PersistentFlags().ShorthandLookup(name)
		}
		if flag != nil {
			return flag.NoOptDefVal == ""
		}
	}
	return false
}

func verbNames(launch *cobra.Command) []string {
	var names []string
	for _, c := range launch.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// launchFlags are those of every verb.
type launchFlags struct {
	root   string
	output string
}

func (l *launchFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&l.root, "deployment-dir", "", "where launches are kept (default: $ALGO_DEPLOYMENT_DIR, else "+install.DefaultRoot+")")
	flags.StringVarP(&l.output, "output", "o", "text", "text or json, on stdout")
}

// newLaunchCommand is the command tree behind a launch's two IDs.
func newLaunchCommand(std streams, satelliteID, launchID string) *cobra.Command {
	common := &launchFlags{}
	cmd := &cobra.Command{
		Use:           "launch",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: launchPath},
		SilenceErrors: true,
		SilenceUsage:  true,
		Example:       installExample,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	cmd.SetIn(std.in)
	cmd.SetOut(std.out)
	cmd.SetErr(std.err)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	common.add(cmd)
	verb := verbs{std: std, flags: common, satelliteID: satelliteID, launchID: launchID}
	cmd.AddCommand(verb.get(), verb.configure(), verb.deploy(), verb.doctor(), verb.status(), verb.diff(),
		verb.render(), verb.verify(), verb.push(), verb.export(), verb.rollback(), verb.remove(), verb.logs())
	for _, c := range cmd.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

// noArguments refuses words that a verb does not take.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument; not %q", cmd.Name(), args[0])}
	}
	return nil
}

var errOutput = errors.New("--output is text or json")
