package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"

	"github.com/distribution/distribution/v3"
	distributionstorage "github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// ownRoot is where we keep what distribution does not: referrers, the system
// image's cache, the upload secret. Distribution's own root is /docker.
const ownRoot = "/constellation"

// StorageConfig says where the registry's content is, and how it is served.
type StorageConfig struct {
	Location storage.Location
	Redirect bool  // send clients to the store for blobs, where it has addresses for them
	KeepFree int64 // bytes of a folder's disk that uploads leave free; 0 is none
}

// FilesystemStorage keeps blobs in a directory, which is made if need be.
func FilesystemStorage(dir string) StorageConfig {
	return StorageConfig{Location: storage.FileLocation(dir)}
}

// Storage is the content of the registry, without accounts. It implements
// bundle.Content and is safe for concurrent use.
type Storage struct {
	config    StorageConfig
	driver    driver.StorageDriver
	namespace distribution.Namespace
	uploads   uploadSigner
}

// OpenStorage opens the content of the registry, and makes sure that it can be read
// and written.
func OpenStorage(ctx context.Context, config StorageConfig, log *slog.Logger) (*Storage, error) {
	ctx = context.WithoutCancel(ctx)
	s, err := openStorage(ctx, config, log)
	if err != nil {
		return nil, fmt.Errorf("open registry storage: %w", err)
	}
	return s, nil
}

func openStorage(ctx context.Context, config StorageConfig, log *slog.Logger) (*Storage, error) {
	bridgeLogs(log)
	d, err := storage.Open(config.Location)
	if err != nil {
		return nil, err
	}
	s := &Storage{config: config, driver: d}
	if err := s.Check(ctx); err != nil {
		return nil, err
	}
	if s.uploads, err = s.uploadSecret(ctx); err != nil {
		return nil, err
	}
	options := []distributionstorage.RegistryOption{
		distributionstorage.EnableValidateImageIndexImagesExist,
		distributionstorage.ManifestURLsAllowRegexp(layerURLs),
	}
	if config.Redirect { // our gate has said by then who reads a blob
		options = append(options, distributionstorage.EnableRedirect)
	}
	s.namespace, err = distributionstorage.NewRegistry(ctx, d, options...)
	return s, err
}

// layerURLs are the addresses that a layer may have. Nobody here fetches them,
// and an algorithm version must have all its layers in the registry (see
// inspector).
var layerURLs = regexp.MustCompile("^https?://")

// Driver is what all of the content is read and written through.
func (s *Storage) Driver() driver.StorageDriver { return s.driver }

// uploadSecret signs the state of uploads in their URLs. It is kept, so that
// an upload survives a restart.
func (s *Storage) uploadSecret(ctx context.Context) (uploadSigner, error) {
	const path = ownRoot + "/upload-secret"
	data, err := s.driver.GetContent(ctx, path)
	if err == nil {
		return data, nil
	}
	if !isPathNotFound(err) {
		return nil, storage.Explain(s.config.Location, "read from", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	data = []byte(hex.EncodeToString(random))
	if err := s.driver.PutContent(ctx, path, data); err != nil {
		return nil, storage.Explain(s.config.Location, "written to", err)
	}
	return data, nil
}

// Close ends the use of it, once nothing is under way.
func (s *Storage) Close() error { return nil }

// Check writes a small file and reads it back; it is for /readyz.
func (s *Storage) Check(ctx context.Context) error {
	return storage.Check(ctx, s.config.Location, s.driver)
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
		return nil, s.failed(fmt.Errorf("read manifest %s@%s: %w", repository, dgst, err))
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
		return nil, 0, s.failed(fmt.Errorf("find blob %s@%s: %w", repository, dgst, err))
	}
	if file := s.file(ctx, parsed); file != nil {
		return file, descriptor.Size, nil
	}
	return &blobReader{ctx: ctx, storage: s, path: blobPath(parsed), size: descriptor.Size}, descriptor.Size, nil
}

// Redirect returns the store's own address for a blob, which must be there, and
// "" where clients are to get blobs from here. Whoever has the address can read
// the blob for a moment, so that the caller has asked who may.
func (s *Storage) Redirect(r *http.Request, dgst string) (string, error) {
	if !s.config.Redirect {
		return "", nil
	}
	address, err := s.driver.RedirectURL(r, blobPath(digest.Digest(dgst)))
	if err != nil {
		return "", s.failed(fmt.Errorf("make an address of blob %s: %w", dgst, err))
	}
	return address, nil
}

// failed returns a failure of an object store as what a client may try again.
// What is wrong with a disk is for the log alone: nobody else mends it.
func (s *Storage) failed(err error) error {
	if !s.config.Location.Shared() {
		return constellation.Wrap(err, constellation.KindInternal, "the registry's disk failed")
	}
	return constellation.Wrap(err, constellation.KindUnavailable, "the mothership's storage does not answer as it should; try again, and tell its admin if that does not help")
}

// blobPath is where distribution documents that its storage keeps a blob.
func blobPath(dgst digest.Digest) string {
	hex := dgst.Encoded()
	return blobRoot + "/" + dgst.Algorithm().String() + "/" + hex[:2] + "/" + hex + "/data"
}

// file returns a blob as the file that it is, so that the kernel can send it by
// itself; nil when the content is not kept in files.
func (s *Storage) file(ctx context.Context, dgst digest.Digest) *os.File {
	if s.config.Location.Dir() == "" {
		return nil
	}
	reader, err := s.driver.Reader(ctx, blobPath(dgst), 0)
	if err != nil {
		return nil
	}
	if file, ok := reader.(*os.File); ok {
		return file
	}
	_ = reader.Close() // only read
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
