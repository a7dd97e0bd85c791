package registry

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/systemimage"
)

// SystemImageConfig says what the system image is made from. Executable ""
// is the running program, CABundle "" the host's certificate authorities and
// Log may be nil. Without Control no garbage collection may run on the storage.
type SystemImageConfig struct {
	Control    *control.Service
	Version    string
	Executable string
	CABundle   string
	Log        *slog.Logger
	// Retry is how long after a failure of the storage the image is made again; twice as
	// long each time, up to a minute. Zero is five seconds.
	Retry time.Duration
}

// SystemImage is the satellite's system image, which may still be being made.
type SystemImage struct {
	tried chan struct{} // closed after the first attempt
	ended chan struct{} // closed when no further one comes

	mu     sync.Mutex
	system bundle.System
	err    error
}

// StartSystemImage begins making the system image in the background and
// returns at once; cancelling ctx abandons it. The same binary and
// certificate authorities give the same digest, and are packed only once. A
// storage that fails is tried again.
func StartSystemImage(ctx context.Context, storage *Storage, config SystemImageConfig) *SystemImage {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Retry == 0 {
		config.Retry = 5 * time.Second
	}
	i := &SystemImage{tried: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(i.ended)
		i.attempt(ctx, storage, config)
		close(i.tried)
		for pause := config.Retry; i.again(ctx); pause = min(2*pause, time.Minute) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			i.attempt(ctx, storage, config)
		}
	}()
	return i
}

// attempt makes the image once, and logs what became of it.
func (i *SystemImage) attempt(ctx context.Context, storage *Storage, config SystemImageConfig) {
	start := time.Now()
	system, err := makeSystemImage(ctx, storage, config)
	i.mu.Lock()
	i.system, i.err = system, err
	i.mu.Unlock()
	switch {
	case err == nil:
		config.Log.InfoContext(ctx, "system image ready", "digest", system.Image.Digest, "duration", time.Since(start))
	case ctx.Err() != nil:
		config.Log.InfoContext(ctx, "the satellite's system image was given up; the next start makes it")
	default:
		config.Log.ErrorContext(ctx, "the satellite's system image could not be made", "error", err)
	}
}

// again reports whether another attempt may go better.
func (i *SystemImage) again(ctx context.Context) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return ctx.Err() == nil && errors.Is(i.err, errNotStored)
}

// System waits for the first attempt; it is control's Options.SystemImage. An
// image that cannot be made is a KindUnavailable error that says why.
func (i *SystemImage) System(ctx context.Context) (bundle.System, error) {
	select {
	case <-i.tried:
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.system, i.err
	case <-ctx.Done():
		return bundle.System{}, constellation.Wrap(ctx.Err(), constellation.KindUnavailable, "the satellite's system image is still being made; try again in a minute")
	}
}

// Wait returns when nothing is done about the image any more, which ends with the
// context that it was begun with.
func (i *SystemImage) Wait() { <-i.ended }

// errNotStored is an image that the storage did not take.
var errNotStored = errors.New("the storage failed")

// systemAttempts is how often the system image is made when parts of it go meanwhile,
// as those of an older one.
const systemAttempts = 3

func makeSystemImage(ctx context.Context, s *Storage, config SystemImageConfig) (bundle.System, error) {
	program, err := systemimage.Open(config.Executable, config.CABundle)
	if err != nil {
		return bundle.System{}, err
	}
	defer program.Close()
	key, err := program.Key()
	if err != nil {
		return bundle.System{}, err
	}
	var descriptor *v1.Descriptor
	for range systemAttempts {
		if descriptor, err = s.cachedSystem(ctx, key); err == nil && descriptor == nil {
			descriptor, err = s.packSystem(ctx, key, program)
		}
		if err == nil {
			err = s.keepSystem(ctx, config, key, *descriptor)
		}
		if constellation.KindOf(err) != constellation.KindConflict {
			break
		}
	}
	if err != nil {
		return bundle.System{}, constellation.Wrap(errors.Join(errNotStored, err), constellation.KindUnavailable, "the satellite's system image could not be stored; the server's log says why")
	}
	return bundle.System{
		Version: config.Version,
		Image: bundle.Image{
			Repository: constellation.SystemRepository, Digest: descriptor.Digest.String(), MediaType: descriptor.MediaType,
			Platforms: []string{"linux/" + runtime.GOARCH},
		},
	}, nil
}
