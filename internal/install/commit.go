package install

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// commit fetches the bundle's own two documents, checks them against the
// signed root, and writes index.json, last.
func (d *downloader) commit(ctx context.Context, l *launch, indexDigest string) error {
	index, err := d.document(ctx, indexDigest)
	if err != nil {
		return err
	}
	if err := l.checkIndex(index, func(digest string) ([]byte, error) { return d.document(ctx, digest) }); err != nil {
		return err
	}
	return l.commit(indexDigest, index)
}

// layoutMarker is the content of oci-layout.
const layoutMarker = `{"imageLayoutVersion":"1.0.0"}`

// layoutOf gives index.json for the bundle's index.
func (l *launch) layoutOf(digest string, index []byte) ([]byte, error) {
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": len(index),
			"annotations": map[string]string{"org.opencontainers.image.ref.name": l.folder.LaunchID},
		}},
	})
	if err != nil {
		return nil, wrap(err, CodeFailed, "write index.json")
	}
	return data, nil
}

// commit writes what makes the layout whole, index.json last, and removes
// what it has no more.
func (l *launch) commit(indexDigest string, index []byte) error {
	layout, err := l.layoutOf(indexDigest, index)
	if err != nil {
		return err
	}
	f := l.folder
	err = errors.Join(
		writeFile(f.blob(bundle.Digest([]byte("{}"))), []byte("{}")),
		writeFile(f.Path("bundle", "oci-layout"), []byte(layoutMarker)),
		syncDir(f.Path("bundle", "blobs", "sha256")),
		writeFile(f.Path("bundle", "index.json"), layout),
	)
	if err != nil {
		return wrap(err, CodeFailed, "write the bundle")
	}
	l.index = indexDigest
	l.sweep()
	return rememberVerified(f, l)
}

// document fetches a small manifest and stores it.
func (d *downloader) document(ctx context.Context, digest string) ([]byte, error) {
	var data []byte
	err := d.retry(ctx, "download "+short(digest), blobAttempts, func() (bool, error) {
		response, err := d.get(ctx, "/v2/"+d.repository+"/manifests/"+digest, http.Header{
			"Accept": {"application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"},
		})
		if err != nil {
			return false, err
		}
		defer response.Body.Close() //nolint:errcheck // read only
		if response.StatusCode != http.StatusOK {
			return false, d.refused(response)
		}
		if data, err = readLimited(response.Body); err != nil {
			return false, d.unreachable(ctx, err)
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if got := bundle.Digest(data); got != digest {
		return nil, errorf(CodeIntegrity, "manifest %s came as %s", digest, got)
	}
	return data, writeFile(d.folder.blob(digest), data)
}

// sweep removes blobs that the launch no longer has, and shared ones that no
// launch has. What it cannot remove costs only room.
func (l *launch) sweep() {
	wanted := l.digests()
	drop := func(dir string, keep func(fs.DirEntry) bool) {
		entries, _ := os.ReadDir(dir) //nolint:errcheck // see above
		for _, entry := range entries {
			if !keep(entry) {
				_ = os.Remove(filepath.Join(dir, entry.Name()))
			}
		}
	}
	f := l.folder
	drop(f.Path("bundle", "blobs", "sha256"), func(e fs.DirEntry) bool { return wanted["sha256:"+e.Name()] })
	drop(filepath.Join(f.Root, "blobs", "sha256"), func(e fs.DirEntry) bool { return linked(e) })
	drop(f.Path("work"), func(e fs.DirEntry) bool {
		return !strings.Contains(e.Name(), ".part") && !strings.HasPrefix(e.Name(), ".")
	})
}
