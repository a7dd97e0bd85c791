package install

import (
	"context"
	"errors"
	"io/fs"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// VerifyResult is what verify found to be right.
type VerifyResult struct {
	Path  string `json:"path"`
	KeyID string `json:"key_id"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`

	// Unsigned are the files and folders of the launch's folder that no
	// signature covers: anybody can have written them.
	Unsigned []string `json:"not_signed"`
	// Configured is whether config.yaml counts: "no" when there is
	// none, "taken" or "not taken".
	Configured string `json:"configuration"`
}

// Verify checks the launch's signature and the hash of every file. The error
// names the file that is wrong.
func Verify(ctx context.Context, f store.Folder, confirmed string, report *progress.Reporter) (*VerifyResult, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	id, err := l.VerifySignature(confirmed, false, report)
	if err != nil {
		return nil, err
	}
	result := &VerifyResult{Path: f.Path(), KeyID: id}
	if result.Files, result.Bytes, err = l.VerifyAll(ctx, report); err != nil {
		return nil, fault.Interrupted(ctx, err, "the check")
	}
	if result.Unsigned, err = l.Unsigned(); err != nil {
		return nil, err
	}
	if result.Configured, err = configurationState(f); err != nil {
		return nil, err
	}
	return result, l.RememberVerified()
}

// configurationState reports whether a launch's configuration counts.
func configurationState(f store.Folder) (string, error) {
	if _, err := f.ReadFile("config.yaml"); errors.Is(err, fs.ErrNotExist) {
		return "no", nil
	}
	c, err := settings.Parse(f)
	if err != nil {
		return "not taken", nil //nolint:nilerr // what is wrong with it is said when it is used
	}
	ours, err := c.IsAccepted(f)
	if ours {
		return "taken", err
	}
	return "not taken", err
}
