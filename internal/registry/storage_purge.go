package registry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	distributionstorage "github.com/distribution/distribution/v3/registry/storage"
)

const (
	uploadAge  = 7 * 24 * time.Hour
	purgeEvery = 24 * time.Hour
)

// purgeUploads removes uploads that were left unfinished, until ctx ends.
func (s *Storage) purgeUploads(ctx context.Context, log *slog.Logger) {
	defer close(s.purged)
	wait := rand.N(time.Hour) //nolint:gosec // so that servers of one storage do not all begin at once
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = purgeEvery
		_, errs := distributionstorage.PurgeUploads(ctx, s.driver, time.Now().Add(-uploadAge), true)
		errs = slices.DeleteFunc(errs, isPathNotFound) // of a registry that is empty still, or of an upload that ended
		if len(errs) > 0 && log != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "some uploads that were left unfinished stay for now", "error", errors.Join(errs...))
		}
	}
}
