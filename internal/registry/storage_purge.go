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
		if err := s.purge(ctx, time.Now().Add(-uploadAge)); err != nil && log != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "some uploads that were left unfinished stay for now", "error", err)
		}
	}
}

// purge removes uploads that were begun before a moment.
func (s *Storage) purge(ctx context.Context, before time.Time) error {
	if _, err := s.driver.Stat(ctx, repositoriesRoot); err != nil {
		if isPathNotFound(err) { // nothing was pushed yet
			return nil
		}
		return err
	}
	_, errs := distributionstorage.PurgeUploads(ctx, s.driver, before, true)
	return errors.Join(slices.DeleteFunc(errs, isPathNotFound)...) // what is gone has ended meanwhile
}
