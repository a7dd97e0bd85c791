package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// ImportOptions are an import's choices.
type ImportOptions struct {
	Root      string // DEPLOY_ROOT
	From      string // an export, its first part, a launch's folder or an OCI layout
	Trust     string // id of a new mothership key that the operator accepts
	Progress  *Progress
	FreeSpace func(dir string) (int64, error) // nil asks the file system
}

// ImportResult is the launch that was imported.
type ImportResult struct {
	SatelliteID string `json:"satellite_id"`
	LaunchID    string `json:"launch_id"`
	Satellite   string `json:"satellite"`
	Launch      string `json:"launch"`
	GetResult
}

// Import takes a launch in from an export, a folder, or an OCI layout such as
// 'skopeo copy --all' makes. It is held to its signature, and every byte is
// hashed on its way. One that was stopped goes on.
func Import(ctx context.Context, o ImportOptions) (*ImportResult, error) {
	c, err := openContents(o.From)
	if err != nil {
		return nil, err
	}
	defer c.close()
	l, err := c.launch(o.Root)
	if err != nil {
		return nil, err
	}
	if err := c.complete(l); err != nil {
		return nil, err
	}
	if _, err := l.verifySignature(o.Trust, o.Progress); err != nil {
		return nil, err
	}
	if err := l.folder.make(); err != nil {
		return nil, err
	}
	unlock, err := l.folder.lock(ctx, "import", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	result := &ImportResult{SatelliteID: l.root.SatelliteID, LaunchID: l.root.LaunchID, Satellite: l.plan.Satellite.Name, Launch: l.plan.Launch.Name}
	present, etag, err := here(ctx, l.folder, o.Progress)
	if err != nil {
		return nil, interrupted(ctx, err, "the import")
	}
	if etag == bundle.Digest(l.rootBytes) {
		result.GetResult = *present.result(l.folder, true)
		return result, nil
	}
	moved, err := l.take(ctx, c, o)
	if err != nil {
		return nil, interrupted(ctx, full(err, o.Root), "the import")
	}
	result.GetResult = *l.result(l.folder, false)
	result.Fetched = moved
	return result, nil
}

// take writes the launch into its folder as get does: launch.json first,
// index.json last.
func (l *launch) take(ctx context.Context, c *contents, o ImportOptions) (int64, error) {
	missing, need, err := l.wanted(ctx, o.Progress)
	if err != nil {
		return 0, err
	}
	if err := room(l.folder, o.FreeSpace, missing, need); err != nil {
		return 0, err
	}
	if err := l.begin(); err != nil {
		return 0, err
	}
	notes, err := openJournal(l.folder)
	if err != nil {
		return 0, err
	}
	defer notes.close()
	t := o.Progress.transfer("import", len(missing), need, newWidth())
	d := &downloader{folder: l.folder, transfer: t, journal: notes}
	err = moveAll(ctx, "imported", t, missing, func(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
		if linked, err := d.link(ctx, blob); linked || err != nil {
			return nil, err
		}
		file, err := d.copyIn(ctx, c, blob)
		return func() error { return d.place(blob, file) }, err
	})
	t.end()
	if err != nil {
		return 0, err
	}
	index, err := c.document(c.index)
	if err != nil {
		return 0, err
	}
	err = l.checkIndex(index, func(digest string) ([]byte, error) {
		data, err := c.document(digest)
		if err == nil {
			err = writeFile(l.folder.blob(digest), data)
		}
		return data, err
	})
	if err == nil {
		err = writeFile(l.folder.blob(c.index), index)
	}
	if err == nil {
		err = c.adopt(l.folder)
	}
	if err != nil {
		return 0, err
	}
	return t.moved.Load(), l.commit(c.index, index)
}

// begin writes what says which launch this is.
func (l *launch) begin() error {
	err := errors.Join(writeFile(l.folder.Path("launch.json"), l.rootBytes), writeFile(l.folder.Path("launch.json.sig"), l.signature),
		writeFile(l.folder.blob(l.root.Plan.Digest), l.planBytes), writeFile(l.folder.blob(bundle.Digest(l.rootBytes)), l.rootBytes))
	if err != nil {
		return wrap(err, CodeFailed, "write the launch")
	}
	return nil
}

// copyIn copies one blob, hashed on the way; the file is synced by place.
func (d *downloader) copyIn(ctx context.Context, c *contents, blob bundle.Descriptor) (*os.File, error) {
	from, err := c.open(blob.Digest)
	if err != nil {
		return nil, err
	}
	defer from.Close() //nolint:errcheck // read only
	file, err := os.OpenFile(d.part(blob.Digest), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, wrap(err, CodeFailed, "store blob %s", blob.Digest)
	}
	sum := sha256.New()
	if err := pour(ctx, io.MultiWriter(&writeBack{file: file}, sum), io.NewSectionReader(from, 0, blob.Size), d.transfer); err != nil {
		return nil, errors.Join(wrap(err, CodeFailed, "copy blob %s of %s", blob.Digest, c.path), file.Close())
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != blob.Digest {
		err := damaged{errorf(CodeIntegrity, "%s of %s is damaged: its bytes are %s; copy it anew", blobName(blob.Digest), c.path, got)}
		_, _ = file.Close(), os.Remove(file.Name()) // the next import begins it anew in any case
		return nil, err
	}
	return file, nil
}
