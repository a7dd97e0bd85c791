// Command mothership is all of Constellation in one binary: the server, its
// administration, the installer and the satellite's runtime.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/cmd/mothership/installer"
	"github.com/constellation-serving/constellation/cmd/mothership/satellite"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, os.Args, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, newRootCommand)
	stop()
	os.Exit(code)
}

// newRootCommand is the mothership's command tree, or the installer's alone
// when the binary is called through a link named algo-install.
func newRootCommand(name string, std command.Streams) *cobra.Command {
	var root *cobra.Command
	if filepath.Base(name) == "algo-install" {
		root = installer.NewCommand(std)
	} else {
		root = command.Subcommands(&cobra.Command{
			Use:   "mothership",
			Short: "Distribute algorithms from where they are developed to where they must run",
		},
			serve.NewCommand(serve.Build{Version: version, Commit: buildCommit()}),
			newMigrateCommand(std),
			newAccountCommand(std),
			newAPIKeyCommand(std),
			newSigningKeyCommand(std),
			newSecretKeyCommand(std),
			newGCCommand(std),
			newAuditCommand(std),
			newStorageCommand(std),
			newImageCommand(std),
			newBackupCommand(std),
			newRestoreCommand(std),
			newDoctorCommand(std),
			newSupportBundleCommand(std),
			newQuotaCommand(std),
			newRetentionCommand(std),
			installer.NewCommand(std),
			satellite.NewCommand(std.Raw(), version),
			newVersionCommand(std),
			newSeedCommand(std),
		)
	}
	root.SetHelpCommand(installer.NewHelpCommand(std))
	return root
}
