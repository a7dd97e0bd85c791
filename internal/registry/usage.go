package registry

import (
	"context"
	"fmt"
	"path"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/control"
)

// blobRoot is where distribution keeps every blob once.
const blobRoot = "/docker/registry/v2/blobs"

// Use walks all blobs and adds up what they take; it is control's
// Options.StorageUse.
func (s *Storage) Use(ctx context.Context) (control.StorageUse, error) {
	var use control.StorageUse
	err := s.driver.Walk(ctx, blobRoot, func(info driver.FileInfo) error {
		if !info.IsDir() && path.Base(info.Path()) == "data" {
			use.Blobs++
			use.Bytes += info.Size()
		}
		return nil
	})
	if err != nil && !isPathNotFound(err) {
		return control.StorageUse{}, fmt.Errorf("measure storage: %w", err)
	}
	return use, nil
}
