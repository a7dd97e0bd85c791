package installer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

func (v verbs) configure() *cobra.Command {
	var offline, take, export bool
	var secret string
	var files []string
	cmd := &cobra.Command{
		Use:   "configure [--file FILE…] [KEY=VALUE…]",
		Short: "Set where the launch goes; with no argument, show it",
		Long: `Set the target's settings, several at once being all or nothing. KEY may begin
with a dot. KEY= takes a setting back. With no argument, all are shown, with where
each value comes from and what is missing.

What is set is tried at once: the kubeconfig has the context, the registry
answers and takes the login of 'docker login', the mothership's name resolves.
--no-check is for a machine that reaches none of them.

--file reads settings from a file, YAML or JSON as 'algo-install schema' describes
it, '-' being stdin. Of several files the later one wins, and KEY=VALUE over all.
${NAME} in a value is an environment variable, $${ is ${ itself. What a file set and
no file says any more is taken back; what was set by hand stays. A path in a file
begins at the file's folder. --export prints the whole configuration as such a file.

--secret KEY - reads the value of a variable from stdin, or asks for it on a
terminal, and puts it straight into the cluster, in the launch's Secret
` + render.SecretsName + `: the configuration notes only that there is one. One line end
behind it is not of the value. --secret KEY alone takes it back, and the next
deploy takes it out of the cluster.

A configuration that came with the launch's folder, or that was edited, counts
only once it is taken: --with-config prints every value and takes them.

Settings (* is needed for a deploy):
` + settingTable(),
		Example: `  ` + launchPath + ` configure stage.container_registry=registry.example.com:5000/team
  ` + launchPath + ` configure .stage.kubernetes.kubeconfig_path=/home/algo/cluster.conf .stage.kubernetes.namespace=algorithms
  ` + launchPath + ` configure stage.ingress.provider=nginx stage.replicas.foo/bar=3
  ` + launchPath + ` configure --file base.yaml --file prod.yaml
  ` + launchPath + ` configure --export > launch.yaml
  ` + launchPath + ` configure stage.env.foo/bar.LEVEL=debug stage.volumes.foo/bar.shm=empty:1Gi:/dev/shm:memory
  ` + launchPath + ` configure --secret stage.env.foo/bar.TOKEN - < token.txt
  ` + launchPath + ` configure`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if take {
				if err := install.AcceptConfig(cmd.Context(), v.folder(), v.progress()); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("secret") {
				if export || len(files) > 0 {
					return command.UsageError{Err: errors.New("--secret goes alone: --file and --export are for what is no secret")}
				}
				return v.configureSecret(cmd.Context(), secret, args)
			}
			if export {
				return v.exportConfig(args, files)
			}
			changes, err := v.changes(args, files)
			if err != nil {
				return err
			}
			result, err := install.Change(cmd.Context(), v.folder(), changes, !offline, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, result, func(w io.Writer) { printConfigured(w, result) })
		}),
	}
	addFiles(cmd.Flags(), &files)
	cmd.Flags().BoolVar(&export, "export", false, "print the whole configuration as a file that --file takes")
	cmd.Flags().BoolVar(&take, "with-config", false, "print and take the configuration that lies in the launch's folder")
	cmd.Flags().StringVar(&secret, "secret", "", "set the variable `KEY` to what stdin has, in the cluster alone; without -, take it back")
	cmd.Flags().BoolVar(&offline, "no-check", false, "do not try registry, names and files")
	return cmd
}

// addFiles adds --file.
func addFiles(flags *pflag.FlagSet, files *[]string) {
	flags.StringArrayVar(files, "file", nil, "`FILE` of settings, - for stdin; of several the later one wins")
}

// changes are what arguments and files say.
func (v verbs) changes(assignments, files []string) (launchfile.Changes, error) {
	changes := launchfile.Changes{Assignments: assignments}
	if len(files) == 0 {
		return changes, nil
	}
	entries, err := launchfile.Reader{Variable: os.LookupEnv, Stdin: v.std.In}.Read(files)
	changes.Files = append([]launchfile.Entry{}, entries...) // not nil, if empty
	return changes, err
}

// exportConfig prints the configuration as a file.
func (v verbs) exportConfig(assignments, files []string) error {
	if len(assignments)+len(files) > 0 {
		return command.UsageError{Err: errors.New("--export prints what is configured, and sets nothing: run configure with the settings first")}
	}
	data, err := install.ExportConfig(v.folder())
	if err != nil {
		return err
	}
	_, err = v.std.Out.Write(data)
	return err
}

// settingTable lists every key with what it is.
func settingTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for _, s := range settings.All() {
		mark, about := " ", s.About
		if s.Required {
			mark = "*"
		}
		if s.Default != "" {
			about += " (default " + s.Default + ")"
		}
		fmt.Fprintf(w, "%s %s\t%s\n", mark, s.Key, about)
	}
	_ = w.Flush() // to memory
	return strings.TrimRight(b.String(), "\n")
}

// printConfigured writes what was set, or all when nothing was.
func printConfigured(w io.Writer, r *install.Configured) {
	for _, value := range r.Set {
		if value.State == "set" && value.From != settings.ConfigOrigin {
			fmt.Fprintf(w, "%s = %s (%s)\n", value.Key, value.Value, value.From)
		} else if value.State == "set" {
			fmt.Fprintf(w, "%s = %s\n", value.Key, value.Value)
		} else {
			fmt.Fprintf(w, "%s = %s (%s)\n", value.Key, value.Value, value.State)
		}
	}
	for _, entry := range r.Overruled {
		fmt.Fprintf(w, "%s says %s = %s, which does not count\n", entry.From, entry.Key, entry.Value)
	}
	if len(r.Set) == 0 {
		fmt.Fprintln(w, "KEY\tVALUE\tFROM")
		for _, value := range r.Values {
			from := value.From
			if value.State == "missing" {
				from = "MISSING"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", value.Key, value.Value, from)
		}
	}
	if r.NotAccepted {
		fmt.Fprintln(w, "these values were not set on this machine and do not count; --with-config takes them")
	}
	if len(r.Needed) > 0 {
		fmt.Fprintf(w, "still needed: %s\n", strings.Join(r.Needed, ", "))
	}
}
