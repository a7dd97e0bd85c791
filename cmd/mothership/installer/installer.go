// Package installer is algo-install's commands, a verb a file.
package installer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// launchPath is how a launch's commands begin, in usage lines and messages.
const launchPath = "algo-install satellite SATELLITE_ID LAUNCH_ID"

// NewCommand is the installer.
func NewCommand(std command.Streams) *cobra.Command {
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
			if args[0] == "help" {
				return helpLaunch(installSatellite(cmd), std, args[1:], nil)
			}
			return command.UsageError{Err: fmt.Errorf("there is no command %q; did you mean %q", args[0], launchPath)}
		},
	}
	cmd.AddCommand(newInstallSatelliteCommand(std), newInstallSchemaCommand(std))
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
func newInstallSatelliteCommand(std command.Streams) *cobra.Command {
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
		fmt.Fprintf(&b, "  %-14s %s\n", verb.Name(), verb.Short)
	}
	return b.String()
}

// runLaunch reads SATELLITE_ID LAUNCH_ID VERB, wherever flags stand between
// them, and runs the verb.
func runLaunch(cmd *cobra.Command, std command.Streams, args []string) error {
	verbs := newLaunchCommand(std, "", "")
	ids, rest := splitIDs(verbs, args)
	switch {
	case len(args) == 0, slices.Contains(args, "--help"), slices.Contains(args, "-h"), slices.Contains(ids, "help"):
		return helpLaunch(cmd, std, ids, rest)
	case len(ids) > 0 && isVerb(verbs, ids[0]):
		return command.UsageError{Err: fmt.Errorf("the IDs come before the verb: %s %s", launchPath, ids[0])}
	case len(ids) == 1 && uuid.Validate(ids[0]) != nil:
		near := constellation.Nearest(ids[0], append(verbNames(verbs), "list", "import"))
		if near != "list" && near != "import" {
			near = "SATELLITE_ID LAUNCH_ID " + near
		}
		return command.UsageError{Err: fmt.Errorf("there is no command %q; did you mean %q", "satellite "+ids[0], "satellite "+near)}
	case len(ids) < 2:
		return command.UsageError{Err: fmt.Errorf("a launch is named by two IDs: %s VERB; 'algo-install satellite list' shows those on this machine", launchPath)}
	}
	for i, what := range []string{"SATELLITE_ID", "LAUNCH_ID"} {
		if _, err := uuid.Parse(ids[i]); err != nil || len(ids[i]) != 36 {
			return command.UsageError{Err: fmt.Errorf("%s is a UUID such as 6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab; not %q", what, ids[i])}
		}
	}
	launch := newLaunchCommand(std, strings.ToLower(ids[0]), strings.ToLower(ids[1]))
	if len(ids) == 2 {
		return command.UsageError{Err: fmt.Errorf("what to do? verbs are %s; see 'algo-install satellite --help'", strings.Join(verbNames(launch), ", "))}
	}
	if !isVerb(launch, ids[2]) {
		return noVerb(launch, ids[2])
	}
	klog.SetLogger(logr.Discard()) // the Kubernetes client's own lines are no messages of ours
	launch.SetArgs(append([]string{ids[2]}, rest...))
	return launch.ExecuteContext(cmd.Context())
}

func isVerb(launch *cobra.Command, word string) bool { return slices.Contains(verbNames(launch), word) }

func noVerb(launch *cobra.Command, word string) error {
	return command.UsageError{Err: fmt.Errorf("there is no verb %q; did you mean %q", word, constellation.Nearest(word, verbNames(launch)))}
}

// installSatellite returns the installer's satellite command, which has the
// verbs, when cmd is it or stands above it; else nil.
func installSatellite(cmd *cobra.Command) *cobra.Command {
	switch {
	case cmd.Name() == "satellite" && cmd.HasParent() && cmd.Parent().Name() == "algo-install":
		return cmd
	case cmd.Name() != "algo-install":
		return nil
	}
	i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == "satellite" })
	return cmd.Commands()[i]
}

// helpLaunch shows the help of the verb that a line has, whatever stands in
// the places of the IDs: words as the help writes them are no mistake there.
func helpLaunch(cmd *cobra.Command, std command.Streams, ids, rest []string) error {
	launch := newLaunchCommand(std, "", "")
	if i := slices.Index(ids, "help"); i >= 0 { // what follows is what it is asked about
		ids = append(slices.Clone(ids[i+1:]), rest...)
	}
	for _, word := range slices.Backward(ids) {
		for _, c := range append(launch.Commands(), cmd.Commands()...) {
			if c.Name() == word {
				return helpBelow(c, append(ids, rest...))
			}
		}
	}
	if len(ids) > 2 || len(ids) == 1 && uuid.Validate(ids[0]) != nil && ids[0] != cmd.Name() && !strings.HasPrefix(ids[0], "SATELLITE") {
		return noVerb(launch, ids[len(ids)-1])
	}
	return cmd.Help()
}

// helpBelow shows the help of a verb, or of what words name below it.
func helpBelow(verb *cobra.Command, words []string) error {
	for _, word := range words {
		if i := slices.IndexFunc(verb.Commands(), func(c *cobra.Command) bool { return c.Name() == word }); i >= 0 {
			verb = verb.Commands()[i]
		}
	}
	verb.InitDefaultHelpFlag()
	return verb.Help()
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

// takesValue reports whether a flag's value is the next word.
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

// trustAbout returns what --trust is, where a verb has it.
const trustAbout = "`ID` of the mothership's key, which its admin confirmed; it is remembered"

// launchFlags are those of every verb.
type launchFlags struct {
	root   string
	work   string
	output string
}

func (l *launchFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&l.root, "deployment-dir", "", "where launches are kept (default: $ALGO_DEPLOYMENT_DIR, else "+store.DefaultRoot+")")
	flags.StringVarP(&l.output, "output", "o", "text", "text or json, on stdout")
}

// newLaunchCommand is the command tree behind a launch's two IDs.
func newLaunchCommand(std command.Streams, satelliteID, launchID string) *cobra.Command {
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
	cmd.SetIn(std.In)
	cmd.SetOut(std.Out)
	cmd.SetErr(std.Err)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return command.UsageError{Err: fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	common.add(cmd)
	cmd.PersistentFlags().StringVar(&common.work, "work-dir", "", "where configuration, notes, locks and manifests are kept, for a deployment folder that cannot be written to")
	verb := verbs{std: std, flags: common, satelliteID: satelliteID, launchID: launchID}
	cmd.AddCommand(verb.up(), verb.get(), verb.configure(), verb.deploy(), verb.doctor(), verb.status(), verb.diff(),
		verb.render(), verb.verify(), verb.push(), verb.export(), verb.rollback(), verb.remove(), verb.logs(), verb.queue(), verb.call(), verb.supportBundle())
	for _, c := range cmd.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

var errOutput = errors.New("--output is text or json")
