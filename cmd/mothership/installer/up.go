package installer

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/ask"
)

func (v verbs) up() *cobra.Command {
	var o install.UpOptions
	var files []string
	var silent bool
	cmd := &cobra.Command{
		Use:   "up [--file FILE…] [KEY=VALUE…] [-]",
		Short: "Download, configure, check and deploy in one go",
		Long: `Do 'get', 'configure' and 'deploy' in one go: download the launch, take settings
from files and arguments as 'configure' does, check registry and cluster, deploy,
and wait until all is ready.

What is missing is asked for on a terminal. Elsewhere, or with --no-input, all of
it is named at once before anything is done, and the exit code is 2. Run it again
after a failure, or for a new version: it goes on where it stopped, and does
nothing that is done already.

The API key is read from the environment variable ALGO_ADMIN_API_KEY, or from
stdin when an argument is '-'. Without one, what is downloaded is deployed.`,
		Example: `  ` + launchPath + ` up --mothership https://mothership.example.com --file base.yaml --file prod.yaml
  ` + launchPath + ` up stage.container_registry=registry.example.com:5000/team < key.txt -`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if err := v.upOptions(&o, args, files); err != nil {
				return err
			}
			if terminal := ask.New(v.std.In, v.std.Err); terminal != nil && !silent && v.flags.output != "json" {
				o.Ask = terminal.Ask
			}
			result, err := install.Up(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, result, func(w io.Writer) { printDeploy(w, result.Deploy) })
		}),
	}
	flags := cmd.Flags()
	addGetFlags(flags, &o.Get)
	addFiles(flags, &files)
	addDeployFlags(flags, &o.Deploy)
	flags.BoolVar(&silent, "no-input", false, "ask nothing, on a terminal too")
	return cmd
}

// upOptions reads what up is given, without asking for what is not.
func (v verbs) upOptions(o *install.UpOptions, args, files []string) (err error) {
	if err := checkTimeout(o.Deploy.Timeout); err != nil {
		return err
	}
	key := os.Getenv("ALGO_ADMIN_API_KEY")
	if i := slices.Index(args, "-"); i >= 0 {
		if slices.Contains(files, "-") {
			return command.UsageError{Err: errors.New("stdin is the API key or a file, not both; set ALGO_ADMIN_API_KEY for the key")}
		}
		if key, err = v.key([]string{"-"}); err != nil {
			return err
		}
		args = slices.Delete(slices.Clone(args), i, i+1)
	}
	if err := checkKey(key); err != nil {
		return err
	}
	o.Get.Key = key
	o.Get.Mothership = cmp.Or(o.Get.Mothership, os.Getenv("ALGO_MOTHERSHIP"))
	o.Deploy.Trust = o.Get.Trust
	o.Progress = v.progress()
	o.Changes, err = v.changes(args, files)
	return err
}
