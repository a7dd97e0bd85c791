package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

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
