package importer

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/foreign"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/retry"
)

// blobsAtOnce is how many blobs an import fetches at once.
const blobsAtOnce = 3

// run is one turn of an import.
type run struct {
	importer *Importer
	i        *constellation.Import
	parts    []constellation.ImportPart
	registry *foreign.Registry
	intake   *registry.Intake

	mu   sync.Mutex
	have map[string]int64 // bytes of each part that are here
	rate rate
}

// do does what is left of the import.
func (r *run) do(ctx context.Context) (err error) {
	if r.registry, err = r.importer.open(ctx, r.i.Image.Host); err != nil {
		return retry.Permanent(err)
	}
	defer r.registry.Close()
	r.intake = r.importer.o.Storage.Intake(r.i.Repository)
	r.have = map[string]int64{}
	if r.i.StartedAt == nil {
		now := time.Now().UTC()
		r.i.StartedAt = &now
	}
	r.i.NextAt = nil
	if r.i.Digest == "" || len(r.parts) == 0 {
		if err := r.plan(ctx); err != nil {
			return err
		}
	}
	if err := r.copy(ctx); err != nil {
		return err
	}
	return r.finish(ctx)
}

// plan reads the manifests and notes what the image needs, if that fits.
func (r *run) plan(ctx context.Context) error {
	r.i.Phase = constellation.ImportLooks
	if err := r.importer.o.Control.NoteImport(ctx, r.i); err != nil {
		return err
	}
	p := &planner{registry: r.registry, repository: r.i.Image.Repository, seen: map[string]bool{}}
	digest, err := p.plan(ctx, r.i)
	if err != nil {
		return err
	}
	r.i.Digest, r.i.Bytes, r.parts = digest, 0, p.parts
	for _, part := range r.parts {
		r.i.Bytes += part.Size
	}
	if err := r.importer.o.Control.PlanImport(ctx, r.i, r.parts); constellation.KindOf(err) == constellation.KindForbidden {
		return retry.Permanent(err)
	} else if err != nil {
		return err
	}
	// With where blobs were written to when it was tried before.
	_, r.parts, err = r.importer.o.Control.WorkImport(ctx, r.i.VersionID, r.i.Generation)
	return err
}

// copy brings every blob here, and tells how far it is meanwhile.
func (r *run) copy(ctx context.Context) error {
	r.i.Phase, r.i.Error = constellation.ImportCopies, ""
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	told := r.telling(ctx, cancel)
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	for n := range r.parts {
		if !r.parts[n].Manifest && within.Err() == nil {
			group.Go(func() error { return r.blob(within, &r.parts[n]) })
		}
	}
	err := group.Wait()
	cause := context.Cause(ctx)
	cancel(nil)
	<-told
	r.sum()
	// A turn that ends leaves its blobs to whoever goes on.
	if dropped := r.importer.o.Control.DropFetches(context.WithoutCancel(ctx), r.i, ""); dropped != nil && err == nil {
		err = dropped
	}
	if err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// telling writes how far the import is until ctx ends, which it ends itself once the
// import has.
func (r *run) telling(ctx context.Context, cancel context.CancelCauseFunc) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(r.importer.o.Note)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			r.sum()
			if err := r.importer.o.Control.NoteImport(ctx, r.i); err != nil {
				if ctx.Err() == nil {
					cancel(err)
				}
				return
			}
		}
	}()
	return ended
}

// sum counts what is here.
func (r *run) sum() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.i.BytesDone = 0
	for _, n := range r.have {
		r.i.BytesDone += n
	}
	r.i.Rate = r.rate.at(time.Now())
}

// came notes how much of a part is here; fetched is what of it came just now.
func (r *run) came(digest string, here, fetched int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.have[digest] = here
	r.rate.add(time.Now(), fetched)
}

// finish stores the manifests, the image's own as the last, and makes the version ready.
func (r *run) finish(ctx context.Context) error {
	r.i.Phase, r.i.Rate = constellation.ImportFinishes, 0
	c := r.importer.o.Control
	if err := c.NoteImport(ctx, r.i); err != nil {
		return err
	}
	var root *constellation.ImportPart
	for n := range r.parts {
		p := &r.parts[n]
		if !p.Manifest {
			continue
		}
		if p.Digest == r.i.Digest {
			root = p
			continue
		}
		stored, err := r.intake.Stored(p.Body, p.Tag)
		if err == nil {
			err = c.StoreManifest(ctx, stored, func(ctx context.Context) error { return r.intake.PutManifest(ctx, p.MediaType, p.Body, p.Tag) })
		}
		if err != nil {
			return stays(err)
		}
	}
	if root == nil {
		return constellation.Errorf(constellation.KindInternal, "import %s has no manifest of its own", r.i.VersionID)
	}
	ref, err := c.ImportRef(ctx, r.i)
	if err != nil {
		return err
	}
	push, err := r.intake.Inspect(ctx, root.MediaType, root.Body, ref.Hash)
	if err != nil {
		return stays(err)
	}
	return stays(c.FinishImport(ctx, r.i, push, func(ctx context.Context) error {
		return r.intake.PutManifest(ctx, root.MediaType, root.Body, ref.Hash)
	}))
}

// stays marks what another attempt would refuse again.
func stays(err error) error {
	if kind := constellation.KindOf(err); kind == constellation.KindInvalid || kind == constellation.KindForbidden {
		return retry.Permanent(err)
	}
	return err
}
