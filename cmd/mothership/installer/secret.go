package installer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install"
)

// configureSecret is configure --secret KEY, with "-" for a value of stdin.
func (v verbs) configureSecret(ctx context.Context, key string, args []string) error {
	var value []byte
	switch {
	case len(args) == 1 && args[0] == "-":
		var err error
		if value, err = v.secret(key); err != nil {
			return err
		}
	case len(args) > 0: // which is not repeated: it may be the secret
		return command.UsageError{Err: errors.New("--secret takes its value from stdin: write - behind the key, and nothing else; other settings are configured on their own")}
	}
	result, err := install.ConfigureSecret(ctx, v.folder(), key, value, v.progress())
	if err != nil {
		return err
	}
	return v.flags.print(v.std.Out, result, func(w io.Writer) {
		switch {
		case !result.Set:
			fmt.Fprintf(w, "%s of %s is no secret any more; the next deploy takes its value out of the cluster\n", result.Variable, result.VanityURL)
		case result.Changed:
			fmt.Fprintf(w, "%s of %s is in namespace %s of the cluster; a deploy gives it to the algorithm\n", result.Variable, result.VanityURL, result.Namespace)
		default:
			fmt.Fprintf(w, "%s of %s has this value in namespace %s already\n", result.Variable, result.VanityURL, result.Namespace)
		}
	})
}

// secret reads a secret's value from stdin, or asks for it on a terminal, where it
// does not show. One line end behind it is not of the value.
func (v verbs) secret(key string) ([]byte, error) {
	if file, ok := v.std.In.(*os.File); ok && term.IsTerminal(int(file.Fd())) { //nolint:gosec // a descriptor is small
		fmt.Fprintf(v.std.Err, "value of %s (it does not show): ", key)
		value, err := term.ReadPassword(int(file.Fd())) //nolint:gosec // as above
		fmt.Fprintln(v.std.Err)
		if err != nil {
			return nil, fmt.Errorf("read the secret from the terminal: %w", err)
		}
		return someSecret(value)
	}
	value, err := io.ReadAll(io.LimitReader(v.std.In, constellation.MaxEnvValue+3)) // and a line end
	if err != nil {
		return nil, fmt.Errorf("read the secret from stdin: %w", err)
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	if len(value) > constellation.MaxEnvValue {
		return nil, command.UsageError{Err: fmt.Errorf("the value of a variable has at most %d bytes, and stdin has more: put it into a Secret of your own, and give it as a file with stage.volumes", constellation.MaxEnvValue)}
	}
	return someSecret(value)
}

func someSecret(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, command.UsageError{Err: errors.New("there is no value on stdin; --secret KEY without - takes the secret back")}
	}
	return value, nil
}
