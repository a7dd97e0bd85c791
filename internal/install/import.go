package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

// ImportOptions are an import's choices.
type ImportOptions struct {
	Root      string // DEPLOY_ROOT
	From      string // an export, its first part, a launch's folder or an OCI layout
	Trust     string // ID of a mothership's key that its admin confirmed
	Config    bool   // take the configuration too, which nobody signed
	Progress  *progress.Reporter
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
	c, err := store.OpenArchive(ctx, o.From)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	result, err := importInto(ctx, c, o)
	return result, c.Blame(ctx, err)
}

func importInto(ctx context.Context, c *store.Archive, o ImportOptions) (*ImportResult, error) {
	l, err := c.Launch(o.Root)
	if err != nil {
		return nil, err
	}
	if err := c.Complete(l); err != nil {
		return nil, err
	}
	if _, err := l.VerifySignature(o.Trust, false, o.Progress); err != nil {
		return nil, err
	}
	if err := l.Folder.Make(); err != nil {
		return nil, err
	}
	unlock, err := l.Folder.Lock(ctx, "import", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	result := &ImportResult{SatelliteID: l.Root.SatelliteID, LaunchID: l.Root.LaunchID, Satellite: l.Plan.Satellite.Name, Launch: l.Plan.Launch.Name}
	present, _, err := store.Present(ctx, l.Folder, o.Progress)
	if err != nil {
		return nil, fault.Interrupted(ctx, err, "the import")
	}
	if present != nil && present.Covers(l.RootBytes, l.Signature) {
		result.GetResult = *getResult(present, l.Folder, true)
		return result, settings.ImportConfig(c, l.Folder, o.Config, o.Progress)
	}
	moved, err := copyLaunch(ctx, l, c, o)
	if err != nil {
		return nil, fault.Interrupted(ctx, store.NoRoomLeft(err, o.Root), "the import")
	}
	result.GetResult = *getResult(l, l.Folder, false)
	result.Fetched = moved
	return result, nil
}

// copyLaunch writes the launch into its folder as get does: launch.json first,
// index.json last.
func copyLaunch(ctx context.Context, l *store.Launch, c *store.Archive, o ImportOptions) (int64, error) {
	missing, need, err := l.BlobsToFetch(ctx, o.Progress)
	if err != nil {
		return 0, err
	}
	if err := store.CheckRoom(l.Folder, o.FreeSpace, missing, need); err != nil {
		return 0, err
	}
	if err := l.Begin(); err != nil {
		return 0, err
	}
	w, err := store.NewBlobWriter(l.Folder)
	if err != nil {
		return 0, err
	}
	defer w.Close()
	moved, err := transfer.CopyIn(ctx, w, c, missing, need, o.Progress)
	if err != nil {
		return 0, err
	}
	index, err := c.Document(c.Index)
	if err != nil {
		return 0, err
	}
	err = l.CheckIndex(index, func(digest string) ([]byte, error) {
		data, err := c.Document(digest)
		if err == nil {
			err = w.WriteDocument(digest, data)
		}
		return data, err
	})
	if err == nil {
		err = w.WriteDocument(c.Index, index)
	}
	if err == nil {
		err = settings.ImportConfig(c, l.Folder, o.Config, o.Progress)
	}
	if err != nil {
		return 0, err
	}
	return moved, l.Commit(c.Index, index)
}
