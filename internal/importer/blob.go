package importer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/retry"
)

// blob brings a blob here: from another repository of this registry, or from elsewhere
// if no other import does that.
func (r *run) blob(ctx context.Context, p *constellation.ImportPart) error {
	c := r.importer.o.Control
	for {
		here, err := r.found(ctx, p)
		if err != nil || here {
			return err
		}
		mine, err := c.ClaimFetch(ctx, r.i, p.Digest)
		if err != nil {
			return err
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.importer.o.Note):
		}
	}
	if err := r.fetchOn(ctx, p); err != nil {
		return err
	}
	p.Done, p.Upload = true, ""
	if err := c.NoteImportPart(ctx, r.i, p); err != nil {
		return err
	}
	return c.DropFetches(ctx, r.i, p.Digest)
}

// found gives the repository a blob that this registry has, and reports whether it has.
func (r *run) found(ctx context.Context, p *constellation.ImportPart) (bool, error) {
	c := r.importer.o.Control
	if err := c.KeepBlob(ctx, p.Digest); err != nil {
		return false, err
	}
	err := r.intake.Link(ctx, p.Digest)
	if err == nil {
		err = c.NoteBlob(ctx, r.i.Repository, r.intake.Blob(p.Digest))
	}
	switch constellation.KindOf(err) {
	case "":
		r.came(p.Digest, p.Size, 0)
		return true, nil
	case constellation.KindNotFound, constellation.KindConflict: // it went just now
		return false, nil
	}
	return false, stays(err)
}

// broughtEnough is how much a connection must bring for the next one to come at once.
const broughtEnough = 64 << 10

// fetchOn fetches a blob, by a new connection when one breaks off that brought
// something. What brings nothing is for another turn.
func (r *run) fetchOn(ctx context.Context, p *constellation.ImportPart) error {
	for {
		before := r.size(p)
		err := r.fetch(ctx, p)
		_, asked := retry.AskedDelay(err)
		if err == nil || asked || ctx.Err() != nil || retry.IsPermanent(err) || r.size(p) < before+broughtEnough {
			return err
		}
	}
}

// size is how much of a blob is here.
func (r *run) size(p *constellation.ImportPart) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.have[p.Digest]
}

// fetch fetches a blob, from where it was left.
func (r *run) fetch(ctx context.Context, p *constellation.ImportPart) error {
	u, err := r.upload(ctx, p)
	if err != nil {
		return err
	}
	resumed := u.Size() > 0
	if err := r.receive(ctx, u, p); err != nil {
		_ = u.Close(context.WithoutCancel(ctx)) // err tells what is wrong
		return err
	}
	err = u.Commit(ctx, p.Digest, p.Size)
	if constellation.KindOf(err) == constellation.KindInvalid {
		p.Upload = ""
		r.came(p.Digest, 0, 0)
		if noted := r.importer.o.Control.NoteImportPart(ctx, r.i, p); noted != nil {
			return noted
		}
		if resumed { // what was there from before may be at fault
			return r.fetch(ctx, p)
		}
		return constellation.Wrap(err, constellation.KindInvalid, "%s sent other content for blob %s than what has that digest", r.i.Image.Host, p.Digest)
	}
	if err != nil {
		return stays(err)
	}
	err = r.importer.o.Control.NoteBlob(ctx, r.i.Repository, r.intake.Blob(p.Digest))
	return stays(err)
}

// upload opens where a blob is written to, and notes it.
func (r *run) upload(ctx context.Context, p *constellation.ImportPart) (*registry.Upload, error) {
	u, err := r.intake.Upload(ctx, p.Upload)
	if err != nil {
		return nil, stays(err)
	}
	if u.Size() > p.Size {
		u.Cancel(ctx)
		if u, err = r.intake.Upload(ctx, ""); err != nil {
			return nil, stays(err)
		}
	}
	r.came(p.Digest, u.Size(), 0)
	if u.ID() == p.Upload {
		return u, nil
	}
	p.Upload = u.ID()
	if err := r.importer.o.Control.NoteImportPart(ctx, r.i, p); err != nil {
		u.Cancel(ctx)
		return nil, err
	}
	return u, nil
}

// bufferSize is how much of a blob is in memory at a time.
const bufferSize = 256 << 10

// receive writes what is left of a blob.
func (r *run) receive(ctx context.Context, u *registry.Upload, p *constellation.ImportPart) error {
	if u.Size() == p.Size {
		return nil
	}
	body, err := r.registry.Blob(ctx, r.i.Image.Repository, p.Digest, u.Size())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	buffer := make([]byte, bufferSize)
	for {
		n, err := body.Read(buffer)
		if u.Size()+int64(n) > p.Size {
			return retry.Permanent(constellation.Errorf(constellation.KindInvalid, "%s sends more of blob %s than the %d bytes that the manifest says", r.i.Image.Host, p.Digest, p.Size))
		}
		if n > 0 {
			if err := u.Write(ctx, buffer[:n]); err != nil {
				return stays(err)
			}
			r.came(p.Digest, u.Size(), int64(n))
		}
		switch {
		case errors.Is(err, io.EOF) && u.Size() == p.Size:
			return nil
		case errors.Is(err, io.EOF):
			return constellation.Errorf(constellation.KindUnavailable, "%s sent %d of %d bytes of blob %s and no more", r.i.Image.Host, u.Size(), p.Size, p.Digest)
		case err != nil:
			return err
		}
	}
}
