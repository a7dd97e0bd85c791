package transfer

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// manifestWidth is how many images' manifests are put at a time.
const manifestWidth = 4

// Push uploads images: first every blob that they need, each once, then what
// other repositories need of the same blobs, then, once claimed is closed, the
// manifests.
func (u *uploader) Push(ctx context.Context, all, todo []*Image, claimed <-chan struct{}) error {
	for _, i := range all {
		if err := i.read(u.source); err != nil {
			return err
		}
	}
	first, again := targets(all, todo)
	var bytes int64
	for _, t := range slices.Concat(first, again) {
		bytes += t.blob.Size
	}
	for _, i := range todo {
		name, _, _ := strings.Cut(i.Source, "@")
		u.report.Line("pushing %s → %s", name, i.Tag)
	}
	u.transfer = u.report.Transfer("push", len(first)+len(again), bytes, u.limiter.onRate)
	defer u.transfer.End()
	for _, list := range [][]target{first, again} {
		if err := u.all(ctx, list); err != nil {
			var repositories []string
			for _, i := range todo {
				repositories = append(repositories, i.RepositoryPath)
			}
			return u.ExplainMissing(err, repositories)
		}
	}
	select {
	case <-claimed:
		return u.allManifests(ctx, todo)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// allManifests puts the images' manifests, of several images at a time.
func (u *uploader) allManifests(ctx context.Context, todo []*Image) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(manifestWidth)
	for _, i := range todo {
		group.Go(func() error {
			if err := u.manifests(ctx, i, u.report); err != nil {
				return err
			}
			repository, digest, _ := strings.Cut(i.Destination, "@")
			u.report.Line("pushed %s@sha256:%s…", repository, constellation.ShortHash(digest))
			return nil
		})
	}
	return group.Wait()
}

// all puts blobs, by the queue that get has too.
func (u *uploader) all(ctx context.Context, list []target) error {
	byBlob := map[bundle.Descriptor][]target{}
	var blobs []bundle.Descriptor
	for _, t := range list {
		byBlob[t.blob] = append(byBlob[t.blob], t)
	}
	for blob := range byBlob {
		blobs = append(blobs, blob)
	}
	var mu sync.Mutex
	return moveAll(ctx, "pushed", u.transfer, u.limiter, blobs, func(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
		mu.Lock()
		mine := byBlob[blob]
		mu.Unlock()
		for _, t := range mine {
			if err := u.put(ctx, t); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}
