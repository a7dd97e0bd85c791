package installer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/call"
)

const callHelp = `Call an algorithm of the launch, and write its answer on stdout.

With --batch, each line of a file is a call: an input in JSON, or
{"custom_id":…,"body":…}. The results come on stdout in the order of the lines,
each with its custom_id and line. After an interruption the same command goes on
with the same batch: no line is lost, and none is in the output twice. Exit code 1
says that the algorithm, or some lines, failed.

The API key is read from the environment variable ALGO_API_KEY, or from a file
with --api-key-file (- is stdin).`

// call is the verb that calls an algorithm.
func (v verbs) call() *cobra.Command {
	var o call.Options
	var input, keyFile string
	cmd := &cobra.Command{
		Use:   "call VANITY_URL",
		Short: "Call an algorithm, once or for each line of a file",
		Long:  callHelp,
		Example: `  echo '"Neo"' | ALGO_API_KEY=… ` + launchPath + ` call foo/bar --input -
  ` + launchPath + ` call foo/bar --api-key-file key --batch in.jsonl > out.jsonl
  ` + launchPath + ` call foo/bar --input image.png --void --wait`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || strings.ContainsAny(args[0], "?#%\\ ") {
				return command.UsageError{Err: fmt.Errorf("call takes one vanity URL, as foo/bar; not %q", args)}
			}
			o.VanityURL = strings.Trim(args[0], "/")
			if err := checkCall(&o, input, keyFile); err != nil {
				return err
			}
			var err error
			if o.Key, err = v.callKey(keyFile); err != nil {
				return err
			}
			o.Input, o.Out, o.Report = v.std.In, v.std.Data(), v.progress()
			switch {
			case o.Batch != "":
			case input == "":
				o.Input = strings.NewReader("null")
			case input != "-":
				f, err := os.Open(input)
				if err != nil {
					return command.UsageError{Err: err}
				}
				defer func() { _ = f.Close() }()
				o.Input = f
			}
			return install.Call(cmd.Context(), v.folder(), o)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&input, "input", "", "`FILE` with the input, - for stdin; without it the input is null")
	flags.StringVar(&o.Batch, "batch", "", "`FILE` of JSON Lines, each of which is a call")
	flags.StringVar(&o.ContentType, "content-type", "", "of the input; without it, as the input looks: JSON, text or bytes")
	flags.BoolVar(&o.Void, "void", false, "have the call stored, and write its request id")
	flags.BoolVar(&o.Wait, "wait", false, "with --void: wait for the call's end, and write its result")
	flags.StringVar(&o.URL, "url", "", "`ADDRESS` of the satellite (default: the launch's Ingress, as deploy prints it)")
	flags.StringVar(&keyFile, "api-key-file", "", "`FILE` with the API key, - for stdin (default: $ALGO_API_KEY)")
	return cmd
}

// checkCall refuses options that do not go together.
func checkCall(o *call.Options, input, keyFile string) error {
	switch {
	case o.Batch != "" && (input != "" || o.Void || o.Wait || o.ContentType != ""):
		return command.UsageError{Err: errors.New("--batch goes without --input, --content-type, --void and --wait")}
	case o.Wait && !o.Void:
		return command.UsageError{Err: errors.New("--wait goes with --void: any other call is waited for anyway")}
	case input == "-" && keyFile == "-":
		return command.UsageError{Err: errors.New("stdin is either the input or the API key: give one of them in a file")}
	}
	return nil
}

// callKey reads the API key of a call.
func (v verbs) callKey(file string) (string, error) {
	key := os.Getenv("ALGO_API_KEY")
	switch file {
	case "":
	case "-":
		line, err := bufio.NewReader(io.LimitReader(v.std.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the API key from stdin: %w", err)
		}
		key = line
	default:
		data, err := os.ReadFile(file)
		if err != nil {
			return "", command.UsageError{Err: err}
		}
		key = string(data)
	}
	key = strings.TrimSpace(key)
	if key == "" || len(key) > 4096 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", command.UsageError{Err: errors.New("call needs an API key of the satellite: set ALGO_API_KEY, or give a file with --api-key-file")}
	}
	return key, nil
}
