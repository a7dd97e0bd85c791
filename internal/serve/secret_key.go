package serve

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// What a command that prints the secret key may take.
const (
	keyCommandTime = 30 * time.Second
	keyCommandText = 4096 // bytes
)

// givenSealer returns the Sealer of a secret key that is not in the data dir; nil
// when the settings name none.
func givenSealer(ctx context.Context, c *Config) (*auth.Sealer, error) {
	given := 0
	for _, setting := range []string{c.secretKey, c.secretKeyFile, c.secretKeyCommand} {
		if setting != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, constellation.Errorf(constellation.KindInvalid, "the secret key comes from one place: give one of --secret-key-file, --secret-key-command and CONSTELLATION_SECRET_KEY")
	case c.secretKeyFile != "":
		sealer, err := auth.LoadSealer(c.secretKeyFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, constellation.Errorf(constellation.KindInvalid, "the key file %s of --secret-key-file is not there; make one with: openssl rand -base64 32", c.secretKeyFile)
		}
		return sealer, err
	case c.secretKeyCommand != "":
		return commandSealer(ctx, c.secretKeyCommand)
	case c.secretKey != "":
		return sealerOf(c.secretKey, "CONSTELLATION_SECRET_KEY")
	}
	return nil, nil
}

func sealerOf(text, from string) (*auth.Sealer, error) {
	sealer, err := auth.ParseSealer(text)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindInvalid, "the secret key of %s is none: it is 32 bytes in base64, or several of these with a line each, as openssl rand -base64 32 prints one", from)
	}
	return sealer, nil
}

// commandSealer runs the command once. Neither what it prints nor what it says of
// itself gets into an error: either may have the key.
func commandSealer(ctx context.Context, command string) (*auth.Sealer, error) {
	text, err := commandKey(ctx, command)
	if err != nil {
		return nil, err
	}
	return sealerOf(string(text), keyCommand)
}

// keyCommand is the setting of a command that prints the secret key.
const keyCommand = "--secret-key-command"

func commandKey(ctx context.Context, command string) ([]byte, error) {
	const from = keyCommand
	running, cancel := context.WithTimeout(ctx, keyCommandTime)
	defer cancel()
	out := &atMost{left: keyCommandText}
	cmd := exec.CommandContext(running, "sh", "-c", command) //nolint:gosec // what the operator set
	cmd.Stdout, cmd.WaitDelay = out, time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.more:
		return nil, constellation.Errorf(constellation.KindInvalid, "the command of %s prints more than %d bytes; it prints the key and nothing else", from, keyCommandText)
	case running.Err() != nil && ctx.Err() == nil:
		return nil, constellation.Errorf(constellation.KindUnavailable, "the command of %s did not end within %.0f seconds; run it by hand to see why", from, keyCommandTime.Seconds())
	case errors.As(err, &exit):
		return nil, constellation.Errorf(constellation.KindUnavailable, "the command of %s failed with exit code %d; run it by hand to see why", from, exit.ExitCode())
	case err != nil:
		return nil, constellation.Wrap(err, constellation.KindUnavailable, "the command of %s cannot be run; run it by hand to see why", from)
	}
	return out.kept.Bytes(), nil
}

// atMost keeps the first bytes that are written, and whether there were more.
type atMost struct {
	kept bytes.Buffer // not embedded: it would be written to past Write
	left int
	more bool
}

// Write implements io.Writer.
func (a *atMost) Write(p []byte) (int, error) {
	if len(p) > a.left {
		a.more = true
		return 0, errors.New("too much")
	}
	a.left -= len(p)
	return a.kept.Write(p)
}

// RotatedKeyFile is the key file that a rotation changes, "" where the key comes
// from elsewhere.
func RotatedKeyFile(c *Config) string {
	switch {
	case c.secretKeyFile != "":
		return c.secretKeyFile
	case c.secretKey != "" || c.secretKeyCommand != "" || c.databaseURL != "":
		return ""
	}
	return keyFile(c)
}
