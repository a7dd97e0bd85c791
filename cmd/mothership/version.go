package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// Set by -ldflags "-X main.version=… -X main.commit=…"; see the Makefile.
var (
	version = constellation.Version
	commit  = ""
)

// buildCommit is the commit this was built from, "unknown" when nobody told.
func buildCommit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

func newVersionCommand(std command.Streams) *cobra.Command {
	var output command.Output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, commit, Go version and platform",
		Args:  command.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if output.JSON() {
				return json.NewEncoder(std.Out).Encode(map[string]string{
					"version": version, "commit": buildCommit(), "go": runtime.Version(), "platform": platform,
				})
			}
			_, err := fmt.Fprintf(std.Out, "mothership %s\ncommit     %s\ngo         %s\nplatform   %s\n", version, buildCommit(), runtime.Version(), platform)
			return err
		},
	}
	output.Add(cmd)
	return cmd
}
