package registry

import (
	"context"
	"fmt"

	"github.com/distribution/distribution/v3"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobUpload is a blob that is being written; nobody sees it before Commit.
type blobUpload struct {
	distribution.BlobWriter
	repository string
	committed  bool
}

func (s *Storage) createBlob(ctx context.Context, repository string) (*blobUpload, error) {
	repo, err := s.named(ctx, repository)
	if err != nil {
		return nil, err
	}
	writer, err := repo.Blobs(ctx).Create(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin a blob in %s: %w", repository, err)
	}
	return &blobUpload{BlobWriter: writer, repository: repository}, nil
}

// Commit makes the blob visible, if it has the descriptor's digest and size.
func (b *blobUpload) Commit(ctx context.Context, descriptor v1.Descriptor) error {
	if _, err := b.BlobWriter.Commit(ctx, descriptor); err != nil {
		return fmt.Errorf("store blob %s in %s: %w", descriptor.Digest, b.repository, err)
	}
	b.committed = true
	return nil
}

// Close drops a blob that was not committed.
func (b *blobUpload) Close() {
	if !b.committed {
		_ = b.Cancel(context.Background()) // what stays behind is purged in a week
	}
}

// putBlob stores a small blob.
func (s *Storage) putBlob(ctx context.Context, repository, mediaType string, data []byte) (v1.Descriptor, error) {
	repo, err := s.named(ctx, repository)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if _, err := repo.Blobs(ctx).Put(ctx, mediaType, data); err != nil {
		return v1.Descriptor{}, fmt.Errorf("store blob in %s: %w", repository, err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, nil
}

// putManifest stores a manifest whose blobs are stored.
func (s *Storage) putManifest(ctx context.Context, repository, mediaType string, data []byte) (v1.Descriptor, error) {
	repo, err := s.named(ctx, repository)
	if err != nil {
		return v1.Descriptor{}, err
	}
	manifest, descriptor, err := distribution.UnmarshalManifest(mediaType, data)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("read manifest for %s: %w", repository, err)
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("open manifests of %s: %w", repository, err)
	}
	if _, err := manifests.Put(ctx, manifest); err != nil {
		return v1.Descriptor{}, fmt.Errorf("store manifest %s@%s: %w", repository, descriptor.Digest, err)
	}
	return descriptor, nil
}

// tag points a tag at a manifest.
func (s *Storage) tag(ctx context.Context, repository, tag string, descriptor v1.Descriptor) error {
	repo, err := s.named(ctx, repository)
	if err != nil {
		return err
	}
	if err := repo.Tags(ctx).Tag(ctx, tag, descriptor); err != nil {
		return fmt.Errorf("tag %s:%s: %w", repository, tag, err)
	}
	return nil
}
