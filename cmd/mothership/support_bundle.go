package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/web/component"
)

// newSupportBundleCommand writes what helps to find a fault into one file.
func newSupportBundleCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	o := serve.SupportOptions{Build: serve.Build{Version: version, Commit: buildCommit()}}
	cmd := &cobra.Command{
		Use:   "support-bundle FILE",
		Short: "Write what helps to find a fault into one file, without secrets",
		Long: `Write what helps to find a fault into one file, a tar.gz of plain files: the
version, the settings in force and where each comes from, what doctor finds, what
the server answers at /readyz and /metrics, and of the database its schema, tables
with their sizes, connections, slow statements, jobs and what was done of late by
kind. Secrets are taken out, and nobody's name is in it.

Give it the settings that serve gets: the same flags, environment and file. It runs
beside the server, and changes nothing. What cannot be had, as when the database or
the storage is away, is named in README.txt of the bundle; the file is there whole
or not at all, for its owner alone to read, and takes 64 MB at most before it is
packed. The server's log is not in it: its lines go where the server's standard
error does.`,
		Example: "  mothership support-bundle support.tar.gz --config /etc/constellation.yaml\n  mothership support-bundle support.tar.gz --force --url http://10.0.0.5:8080 --url http://10.0.0.6:8080",
		Args:    command.OneArgument("the FILE to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.Load(cmd); err != nil {
				return err
			}
			o.File = args[0]
			result, err := serve.SupportBundle(cmd, &c, o)
			if err != nil {
				return err
			}
			if output.JSON() {
				return output.Print(std, result, nil, nil)
			}
			for _, missing := range result.Missing {
				fmt.Fprintf(std.Err, "missing: %s\n", missing)
			}
			fmt.Fprintf(std.Out, "wrote %s, %s in %s\n", result.File, component.Bytes(result.Bytes), component.Count(result.Parts, "file"))
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	c.AddServerFlags(cmd.Flags())
	cmd.Flags().BoolVar(&o.Force, "force", false, "replace a file that is there")
	cmd.Flags().StringArrayVar(&o.URLs, "url", nil, "ask the server at this URL, such as http://localhost:8080, and each of several; default where --listen leads on this machine")
	output.Add(cmd)
	return cmd
}
