package registry

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"sync"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// hostCABundles are where distributions keep their certificate authorities.
var hostCABundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch, and the system image itself
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

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
	caBundle, err := readCABundle(config.CABundle)
	if err != nil {
		return bundle.System{}, err
	}
	executable, err := openExecutable(config.Executable)
	if err != nil {
		return bundle.System{}, err
	}
	defer func() { _ = executable.Close() }() // only read
	key, err := systemKey(executable, caBundle)
	if err != nil {
		return bundle.System{}, err
	}
	var descriptor *v1.Descriptor
	for range systemAttempts {
		if descriptor, err = s.cachedSystem(ctx, key); err == nil && descriptor == nil {
			descriptor, err = s.packSystem(ctx, key, executable, caBundle)
		}
		if err == nil {
			err = s.keepSystem(ctx, config, key, *descriptor)
		}
		if constellation.KindOf(err) != constellation.KindConflict {
			break
		}
		if _, err := executable.Seek(0, io.SeekStart); err != nil {
			return bundle.System{}, fmt.Errorf("rewind the mothership's binary: %w", err)
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

// readCABundle reads the certificate authorities that the satellite and the
// installer's container trust.
func readCABundle(path string) ([]byte, error) {
	paths := hostCABundles
	if path != "" {
		paths = []string{path}
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the certificate authorities for the system image cannot be read from %s", path)
		}
		return data, nil
	}
	return nil, constellation.Errorf(constellation.KindUnavailable, "the system image needs certificate authorities and this machine has none: install the package ca-certificates and restart the mothership")
}

// openExecutable opens a program that runs on nothing but a Linux kernel.
func openExecutable(path string) (*os.File, error) {
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the mothership cannot find its own binary for the system image")
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindUnavailable, "the mothership cannot read its own binary for the system image")
	}
	binary, err := elf.NewFile(file)
	if err != nil {
		_ = file.Close()
		return nil, constellation.Wrap(err, constellation.KindUnavailable, "the system image needs a mothership that runs on Linux; this one runs on %s", runtime.GOOS)
	}
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			_ = file.Close()
			return nil, constellation.Errorf(constellation.KindUnavailable, "the system image needs a statically linked mothership: build it with CGO_ENABLED=0, as make build does")
		}
	}
	return file, nil
}

var notInTag = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// versionTag returns the version as a tag, which has no '+'.
func versionTag(version string) string {
	tag := notInTag.ReplaceAllString(version, "-")
	if !tagPattern.MatchString(tag) {
		return "unversioned"
	}
	return tag
}
