package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the driver of FilesystemStorage
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// ownRoot is where we keep what distribution does not: referrers, the system
// image's cache, the upload secret. Distribution's own root is /docker.
const ownRoot = "/constellation"

// StorageConfig says where blobs are: a storage driver of distribution by
// name, and its parameters as distribution documents them.
type StorageConfig struct {
	Driver     string
	Parameters map[string]any
}

// FilesystemStorage keeps blobs in a directory, which is made if need be.
func FilesystemStorage(dir string) StorageConfig {
	return StorageConfig{Driver: "filesystem", Parameters: map[string]any{"rootdirectory": dir}}
}

// Storage is the content of the registry, without accounts. It implements
// bundle.Content and is safe for concurrent use.
type Storage struct {
	app       *handlers.App
	driver    driver.StorageDriver
	namespace distribution.Namespace
	stop      context.CancelFunc
}

// OpenStorage opens the content of the registry and starts removing uploads
// that were left unfinished for a week. ctx ends neither: Close does.
func OpenStorage(ctx context.Context, config StorageConfig, log *slog.Logger) (*Storage, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s, err := openStorage(ctx, config, log)
	if err != nil {
		stop()
		return nil, fmt.Errorf("open registry storage: %w", err)
	}
	s.stop = stop
	return s, nil
}

func openStorage(ctx context.Context, config StorageConfig, log *slog.Logger) (*Storage, error) {
	bridgeLogs(log)
	d, err := factory.Create(ctx, config.Driver, config.Parameters)
	if err != nil {
		return nil, fmt.Errorf("storage driver %q: %w", config.Driver, err)
	}
	s := &Storage{driver: d}
	secret, err := s.uploadSecret(ctx)
	if err != nil {
		return nil, err
	}
	if s.namespace, err = storage.NewRegistry(ctx, d); err != nil {
		return nil, err
	}
	s.app, err = newApp(ctx, config, secret)
	return s, err
}

// newApp makes distribution's handlers; NewApp panics on what it cannot use.
func newApp(ctx context.Context, config StorageConfig, secret string) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("distribution's handlers: %v", p)
		}
	}()
	c := &configuration.Configuration{
		Storage: configuration.Storage{
			config.Driver: config.Parameters,
			"delete":      {"enabled": false},
			"redirect":    {"disable": true}, // only we may say who reads a blob
			"maintenance": {"uploadpurging": map[any]any{"enabled": true, "age": "168h", "interval": "24h", "dryrun": false}},
		},
		Catalog: configuration.Catalog{MaxEntries: 1000},
		Tags:    configuration.Tags{MaxTags: 1000},
	}
	// Nobody here fetches a layer's URLs, and an algorithm version must have
	// all its layers in the registry (see inspector).
	c.Validation.Manifests.URLs.Allow = []string{"^https?://"}
	c.HTTP.Secret = secret
	c.HTTP.RelativeURLs = true // right behind any proxy
	return handlers.NewApp(ctx, c), nil
}

// uploadSecret signs the state of uploads in their URLs. It is kept, so that
// an upload survives a restart.
func (s *Storage) uploadSecret(ctx context.Context) (string, error) {
	const path = ownRoot + "/upload-secret"
	data, err := s.driver.GetContent(ctx, path)
	if err == nil {
		return string(data), nil
	}
	if !isPathNotFound(err) {
		return "", fmt.Errorf("read upload secret: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	data = []byte(hex.EncodeToString(random))
	if err := s.driver.PutContent(ctx, path, data); err != nil {
		return "", fmt.Errorf("write upload secret: %w", err)
	}
	return string(data), nil
}

// Close stops what OpenStorage started.
func (s *Storage) Close() error {
	s.stop()
	return s.app.Shutdown()
}

// Check writes a small file and reads it back; it is for /readyz.
func (s *Storage) Check(ctx context.Context) error {
	const path = ownRoot + "/probe"
	want := []byte("ok")
	if err := s.driver.PutContent(ctx, path, want); err != nil {
		if diskFull(err) {
			return constellation.Wrap(err, constellation.KindUnavailable, "the disk is full; free some space")
		}
		return fmt.Errorf("write to registry storage: %w", err)
	}
	got, err := s.driver.GetContent(ctx, path)
	if err != nil {
		return fmt.Errorf("read from registry storage: %w", err)
	}
	if string(got) != string(want) {
		return errors.New("read from registry storage: another content than was written")
	}
	return nil
}

// Manifest returns the bytes of a manifest or index as they were pushed; an
// unknown one is a KindNotFound error. It implements bundle.Content.
func (s *Storage) Manifest(ctx context.Context, repository, dgst string) ([]byte, error) {
	repo, parsed, err := s.repository(ctx, repository, dgst)
	if err != nil {
		return nil, err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return nil, fmt.Errorf("open manifests of %s: %w", repository, err)
	}
	manifest, err := manifests.Get(ctx, parsed)
	var unknown distribution.ErrManifestUnknownRevision
	if errors.As(err, &unknown) || errors.Is(err, distribution.ErrBlobUnknown) {
		return nil, constellation.Wrap(err, constellation.KindNotFound, "the registry has no manifest %s@%s", repository, dgst)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s@%s: %w", repository, dgst, err)
	}
	_, payload, err := manifest.Payload()
	if err != nil {
		return nil, fmt.Errorf("read manifest %s@%s: %w", repository, dgst, err)
	}
	return payload, nil
}

// Blob opens a blob and returns its size; an unknown one is a KindNotFound
// error. The caller closes it.
func (s *Storage) Blob(ctx context.Context, repository, dgst string) (io.ReadSeekCloser, int64, error) {
	repo, parsed, err := s.repository(ctx, repository, dgst)
	if err != nil {
		return nil, 0, err
	}
	blobs := repo.Blobs(ctx)
	descriptor, err := blobs.Stat(ctx, parsed)
	if errors.Is(err, distribution.ErrBlobUnknown) {
		return nil, 0, constellation.Wrap(err, constellation.KindNotFound, "the registry has no blob %s in %s", dgst, repository)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("find blob %s@%s: %w", repository, dgst, err)
	}
	if file := s.file(ctx, parsed); file != nil {
		return file, descriptor.Size, nil
	}
	blob, err := blobs.Open(ctx, parsed)
	if err != nil {
		return nil, 0, fmt.Errorf("open blob %s@%s: %w", repository, dgst, err)
	}
	return blobReader{blob}, descriptor.Size, nil
}

// file returns a blob as the file that it is, so that the kernel can send it by
// itself; nil when the driver keeps no files. The path is the one that
// distribution documents for its storage.
func (s *Storage) file(ctx context.Context, dgst digest.Digest) *os.File {
	hex := dgst.Encoded()
	reader, err := s.driver.Reader(ctx, "/docker/registry/v2/blobs/"+dgst.Algorithm().String()+"/"+hex[:2]+"/"+hex+"/data", 0)
	if err != nil {
		return nil
	}
	if file, ok := reader.(*os.File); ok {
		return file
	}
	_ = reader.Close() // only read
	return nil
}

// blobReader closes without an error: distribution's reader says "closed"
// when it closes well.
type blobReader struct{ io.ReadSeekCloser }

// Close implements io.Closer.
func (b blobReader) Close() error {
	_ = b.ReadSeekCloser.Close()
	return nil
}

func (s *Storage) repository(ctx context.Context, name, dgst string) (distribution.Repository, digest.Digest, error) {
	parsed, err := digest.Parse(dgst)
	if err != nil {
		return nil, "", constellation.Wrap(err, constellation.KindInvalid, "%q is not a digest", shorten(dgst))
	}
	repo, err := s.named(ctx, name)
	return repo, parsed, err
}

func (s *Storage) named(ctx context.Context, name string) (distribution.Repository, error) {
	named, err := reference.WithName(name)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindInvalid, "%q is not a repository name", shorten(name))
	}
	repo, err := s.namespace.Repository(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", name, err)
	}
	return repo, nil
}

func isPathNotFound(err error) bool {
	var notFound driver.PathNotFoundError
	return errors.As(err, &notFound)
}
