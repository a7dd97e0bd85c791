package transfer

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// Commit fetches the bundle's own two documents, checks them against the
// signed root, and writes index.json, last.
func (d *Downloader) Commit(ctx context.Context, l *store.Launch, indexDigest string) error {
	index, err := d.document(ctx, indexDigest)
	if err != nil {
		return err
	}
	if err := l.CheckIndex(index, func(digest string) ([]byte, error) { return d.document(ctx, digest) }); err != nil {
		return err
	}
	return l.Commit(indexDigest, index)
}

// document fetches a small manifest and stores it.
func (d *Downloader) document(ctx context.Context, digest string) ([]byte, error) {
	var data []byte
	err := d.Do(ctx, "download "+constellation.ShortHash(digest), BlobAttempts, func() error {
		response, err := d.Content(ctx, "/v2/"+d.Repository+"/manifests/"+digest, http.Header{
			"Accept": {"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"},
		})
		if err != nil {
			return err
		}
		defer response.Body.Close() //nolint:errcheck // read only
		if response.StatusCode != http.StatusOK {
			return d.Refused(response)
		}
		if data, err = bundle.ReadManifest(response.Body); err != nil {
			return d.Unreachable(ctx, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if got := bundle.Digest(data); got != digest {
		return nil, fault.Errorf(fault.CodeIntegrity, "manifest %s came as %s", digest, got)
	}
	return data, d.WriteDocument(digest, data)
}
