package storage

import (
	"context"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// uploader is a driver of a store that keeps the parts of uploads which were not
// completed, and has them paid for, until somebody drops them.
type uploader interface {
	DropUploads(ctx context.Context, path string) error
	EachUpload(ctx context.Context, below string, f func(path string, at time.Time) error) error
}

// uploaderOf returns the uploader that a driver is, nil for what keeps no parts.
func uploaderOf(d driver.StorageDriver) uploader {
	if t, ok := d.(*traced); ok {
		d = t.StorageDriver
	}
	u, _ := d.(uploader)
	return u
}

// DropLeftUploads drops the uploads of blobs, by copies and restores, that are of no
// more use: whose blob is there, and which are older than before. It returns how many
// blobs they were of; with dryRun it does nothing else. Uploads by clients of the
// registry are elsewhere.
func DropLeftUploads(ctx context.Context, d driver.StorageDriver, before time.Time, dryRun bool) (constellation.SpaceUse, error) {
	var use constellation.SpaceUse
	u := uploaderOf(d)
	if u == nil {
		return use, nil
	}
	err := u.EachUpload(ctx, blobsRoot, func(path string, at time.Time) error {
		if !at.Before(before) {
			if _, err := d.Stat(ctx, path); isMissing(err) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if use.Blobs++; dryRun {
			return nil
		}
		return u.DropUploads(ctx, path)
	})
	return use, err
}
