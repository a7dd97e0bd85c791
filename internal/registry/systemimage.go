package registry

import (
	"context"
	"log/slog"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// SystemImageConfig says what the system image is made from. Executable ""
// is the running program and CABundle "" the host's certificate authorities.
type SystemImageConfig struct {
	Version    string
	Executable string
	CABundle   string
	Log        *slog.Logger
}

// SystemImage is the satellite's system image, which may still be being made.
type SystemImage struct {
	done   chan struct{}
	system bundle.System
	err    error
}

// StartSystemImage begins making the system image in the background and
// returns at once; cancelling ctx gives it up.
func StartSystemImage(ctx context.Context, storage *Storage, config SystemImageConfig) *SystemImage {
	i := &SystemImage{done: make(chan struct{})}
	go func() {
		defer close(i.done)
		i.system, i.err = makeSystemImage(ctx, storage, config)
	}()
	return i
}

// System waits for the system image; it is control's Options.SystemImage.
func (i *SystemImage) System(ctx context.Context) (bundle.System, error) {
	select {
	case <-i.done:
		return i.system, i.err
	case <-ctx.Done():
		return bundle.System{}, ctx.Err()
	}
}
