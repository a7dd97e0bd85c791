package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/host"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// clusterCommands are the commands that need Linux; the last three are what
// the program starts itself as inside a cluster.
func clusterCommands() []*cobra.Command {
	return []*cobra.Command{
		upCommand(), downCommand(), statusCommand(), apiserverCommand(),
		inner("node-enter", func(_ context.Context, args []string) error {
			if len(args) != 1 {
				return errors.New("want the state folder")
			}
			return node.Enter(args[0], os.NewFile(3, "ready"))
		}),
		inner("node-init", func(context.Context, []string) error { return node.Init() }),
		inner("node-supervise", func(ctx context.Context, _ []string) error { return node.Supervise(ctx) }),
	}
}

func inner(name string, f func(context.Context, []string) error) *cobra.Command {
	return &cobra.Command{Use: name, Hidden: true, RunE: func(cmd *cobra.Command, args []string) error {
		return f(cmd.Context(), args)
	}}
}

func upCommand() *cobra.Command {
	var o host.Options
	var noIngress, foreground bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster and wait until it can be used",
		Long: `Start a cluster and wait until it can be used. The last line, alone on standard
output, sets KUBECONFIG. Facts for scripts are in STATE/cluster.json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Ingress = !noIngress
			h := host.New(cmd.ErrOrStderr())
			cluster, err := h.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\n", cluster.Kubeconfig); err != nil {
				return fmt.Errorf("print kubeconfig: %w", err)
			}
			if !foreground {
				return nil
			}
			ended := cluster.Wait(cmd.Context())
			_, err = h.Down(context.WithoutCancel(cmd.Context()), o.Name)
			return errors.Join(ended, err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "dev", "the cluster's `NAME`; several run side by side")
	f.StringVar(&o.StateDir, "state", "", "`DIR` for the cluster's files (default "+host.DefaultStateRoot+"/NAME)")
	f.StringArrayVar(&o.InsecureRegistries, "insecure-registry", nil, "pull from `HOST:PORT` by plain HTTP; :PORT is this machine (repeatable)")
	f.BoolVar(&noIngress, "no-ingress", false, "start no ingress controller")
	f.BoolVar(&o.Install, "install", false, "install missing Debian packages first")
	f.BoolVar(&foreground, "foreground", false, "stay, and end the cluster when interrupted")
	f.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "give up when the cluster is not ready after this time")
	return cmd
}

func downCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End a cluster and remove everything it made",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			say := progress(cmd)
			was, err := host.New(cmd.ErrOrStderr()).Down(cmd.Context(), name)
			switch {
			case err != nil:
				return err
			case was:
				say("cluster %s is down", name)
			default:
				say("cluster %s is not up", name)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "dev", "the cluster's `NAME`")
	return cmd
}

func statusCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the clusters of this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := host.New(cmd.ErrOrStderr()).List()
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			if len(list) == 0 {
				progress(cmd)("no cluster is up")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "NAME\tSTATE\tNODE\tKUBECONFIG\tTROUBLE")
			for _, s := range list {
				state, address, kubeconfig := "ended", "", ""
				if s.Up {
					state = "starting"
				}
				if s.Cluster != nil {
					address, kubeconfig = s.Cluster.NodeAddress, s.Cluster.Kubeconfig
					if s.Up {
						state = "up"
					}
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, state, address, kubeconfig, trouble(s))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json: everything, for scripts")
	return cmd
}

// trouble names the components that had to be started again.
func trouble(s host.Status) string {
	var out []string
	for name, c := range s.Components {
		if c.Restarts > 0 {
			out = append(out, fmt.Sprintf("%s started again %d times (%s)", name, c.Restarts, c.LastEnd))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
