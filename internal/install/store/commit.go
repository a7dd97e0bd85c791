package store

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"regexp"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// layoutMarker is the content of oci-layout.
const layoutMarker = `{"imageLayoutVersion":"1.0.0"}`

// layoutOf returns index.json for the bundle's index.
func (l *Launch) layoutOf(digest string, index []byte) ([]byte, error) {
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": len(index),
			"annotations": map[string]string{"org.opencontainers.image.ref.name": l.Folder.LaunchID},
		}},
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write index.json")
	}
	return data, nil
}

// Commit writes what makes the layout whole, index.json last, and removes
// what it has no more.
func (l *Launch) Commit(indexDigest string, index []byte) error {
	layout, err := l.layoutOf(indexDigest, index)
	if err != nil {
		return err
	}
	f := l.Folder
	err = errors.Join(
		f.WriteFile(inBundle(bundle.Digest([]byte("{}"))), []byte("{}")),
		f.WriteFile("bundle/oci-layout", []byte(layoutMarker)),
		f.Tree(blobDir).syncDir(blobDir),
		f.WriteFile("bundle/index.json", layout),
	)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "write the bundle")
	}
	l.index = indexDigest
	l.sweep()
	return l.RememberVerified()
}

// sweepable are names that we give to blobs, to parts of them, and to files
// that are not whole: nothing else is ever removed.
var sweepable = regexp.MustCompile(`^\.?([0-9a-f]{64})(\.part|\.part\.etag|-[A-Z2-7]{26})?$`)

// sweep removes blobs that the launch no longer has, and shared ones that no
// launch has. What it cannot remove costs only room.
func (l *Launch) sweep() {
	wanted := l.digests()
	drop := func(t Tree, dir string, keep func(fs.DirEntry) bool) {
		entries, _ := t.readDir(dir) //nolint:errcheck // see above
		for _, entry := range entries {
			if sweepable.MatchString(entry.Name()) && entry.Type().IsRegular() && !keep(entry) {
				_ = t.remove(path.Join(dir, entry.Name()))
			}
		}
	}
	f := l.Folder
	drop(f.Tree(blobDir), blobDir, func(e fs.DirEntry) bool { return wanted["sha256:"+e.Name()] })
	drop(f.deployment(), "blobs/sha256", linked)
	drop(f.Tree("work"), "work", func(fs.DirEntry) bool { return false })
}
