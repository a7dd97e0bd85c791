package installer

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

func (v verbs) get() *cobra.Command {
	var o install.GetOptions
	cmd := &cobra.Command{
		Use:   "get [ADMIN_API_KEY | -]",
		Short: "Download the launch: plan and images",
		Long: `Download the launch's plan and images from its mothership. A download that was
stopped goes on where it was; one that is complete costs a single request.

The API key is read from the environment variable ALGO_ADMIN_API_KEY, or from
stdin when the argument is '-'. Given as an argument it works, and for a moment
every user of this machine can read it in the list of processes.`,
		Example: `  ALGO_ADMIN_API_KEY=cst_… ` + launchPath + ` get --mothership https://mothership.example.com
  ` + launchPath + ` get - --mothership mothership.example.com:8443 --ca-file ca.pem < key.txt`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) (err error) {
			if o.Key, err = v.key(args); err != nil {
				return err
			}
			o.Mothership = cmp.Or(o.Mothership, os.Getenv("ALGO_MOTHERSHIP"))
			o.Progress = v.progress()
			result, err := install.Get(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, result, func(w io.Writer) {
				what := fmt.Sprintf("downloaded version %d: %d algorithms, %s", result.SatelliteVersion, result.Algorithms, progress.Size(result.Bytes))
				if result.Unchanged {
					what = fmt.Sprintf("version %d is complete already, nothing to download", result.SatelliteVersion)
				}
				fmt.Fprintf(w, "%s\n%s\n", what, result.Path)
			})
		}),
	}
	addGetFlags(cmd.Flags(), &o)
	return cmd
}

// addGetFlags adds the flags of a download.
func addGetFlags(flags *pflag.FlagSet, o *install.GetOptions) {
	flags.StringVar(&o.Mothership, "mothership", "", "host[:port] or URL (default: $ALGO_MOTHERSHIP, else the last one used)")
	flags.StringVar(&o.TLS.CAFile, "ca-file", "", "certificate authority of the mothership, PEM")
	flags.BoolVar(&o.TLS.Insecure, "insecure", false, "do not check the mothership's certificate")
	flags.StringVar(&o.Trust, "trust", "", trustAbout)
}

// key finds the API key, the safest place last so that what is written wins.
func (v verbs) key(args []string) (string, error) {
	key := os.Getenv("ALGO_ADMIN_API_KEY")
	switch {
	case len(args) > 1:
		return "", command.UsageError{Err: fmt.Errorf("get takes one API key; not %d words", len(args))}
	case len(args) == 1 && args[0] == "-":
		line, err := bufio.NewReader(io.LimitReader(v.std.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the API key from stdin: %w", err)
		}
		key = line
	case len(args) == 1:
		key = command.HideArgument(args[0])
		fmt.Fprintln(v.std.Err, "warning: other users of this machine can see a key on the command line; set ALGO_ADMIN_API_KEY, or write - and give it on stdin")
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", command.UsageError{Err: errors.New("get needs an API key of the mothership: set ALGO_ADMIN_API_KEY, write - to give it on stdin, or write it as the argument")}
	}
	return key, checkKey(key)
}

func checkKey(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return command.UsageError{Err: errors.New("an API key has no spaces or special characters")}
	}
	return nil
}
