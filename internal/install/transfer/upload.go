package transfer

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/retry"
)

const (
	// resumable is the size from which an interrupted upload is gone on with,
	// not begun again.
	resumable = 8 << 20
	// firstChunk is the size of pieces for a proxy that refuses large bodies,
	// leastChunk where we give up making them smaller.
	firstChunk = 16 << 20
	leastChunk = 256 << 10
)

// uploader puts blobs into the operator's registry.
type uploader struct {
	*registry.Registry
	Retrier
	source   Source
	uploads  *UploadJournal
	report   *progress.Reporter
	transfer *progress.Transfer
	limiter  *limiter
	chunk    atomic.Int64 // 0 until a proxy refused a large body
	Sent     atomic.Int64 // blobs that were uploaded
	Mounted  atomic.Int64
}

// NewUploader returns the uploader of what source has into r.
func NewUploader(r *registry.Registry, from Source, attempts Retrier, journal *UploadJournal, report *progress.Reporter) *uploader {
	return &uploader{Registry: r, Retrier: attempts, source: from, uploads: journal, report: report, limiter: newLimiter()}
}

// Moved returns the bytes that were sent.
func (u *uploader) Moved() int64 { return u.transfer.Moved() }

// target is one blob's way into one repository.
type target struct {
	blob       bundle.Descriptor
	repository string
	mounts     []string // repositories of the same registry that have it
}

// put gets a blob into its repository: it is there, or is mounted from another
// one, or is uploaded.
func (u *uploader) put(ctx context.Context, t target) error {
	what := "push " + constellation.ShortHash(t.blob.Digest) + " to " + u.Host() + "/" + t.repository
	if there, err := u.ready(ctx, t, what); there || err != nil {
		return err
	}
	file, err := u.source.Open(t.blob.Digest)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	job := &upload{uploader: u, target: t, file: file, location: u.begun(t)}
	err = u.Do(ctx, what, BlobAttempts, func() error {
		before, chunk := job.stored, u.chunk.Load()
		err := job.attempt(ctx)
		classified := u.classify(ctx, err, what)
		if job.stored-before >= progressBytes || u.chunk.Load() != chunk {
			classified = retry.Progressed(classified)
		}
		return classified
	})
	if err != nil {
		return err
	}
	u.uploads.drop(t)
	u.Sent.Add(1)
	return nil
}

// begun returns the address of an upload that an earlier run began, "" for none.
// Only the registry itself is gone back to: the journal may have come with the
// folder.
func (u *uploader) begun(t target) string {
	location := u.uploads.get(t)
	if location == "" || !u.Owns(location) {
		return ""
	}
	return location
}

// ready looks whether the blob is there, and else mounts it.
func (u *uploader) ready(ctx context.Context, t target, what string) (there bool, err error) {
	err = u.Do(ctx, what, BlobAttempts, func() error {
		if there, err = u.HasBlob(ctx, t.repository, t.blob.Digest); there || err != nil {
			return u.classify(ctx, err, what)
		}
		for _, from := range t.mounts {
			var location string
			if there, location, err = u.Mount(ctx, t.repository, t.blob.Digest, from); there || err != nil {
				if there {
					u.Mounted.Add(1)
				}
				return u.classify(ctx, err, what)
			}
			if location != "" {
				u.uploads.set(t, location)
			}
		}
		return nil
	})
	if there && err == nil {
		u.transfer.Skip(t.blob.Size)
	}
	return there, err
}

// upload is the sending of one blob, over several attempts and, by the
// journal, several runs.
type upload struct {
	*uploader
	target
	file     store.ReaderAt
	location string // of the upload that is begun, "" for none
	stored   int64  // bytes that the registry has
	wrong    int    // times that the registry found other bytes than ours
	ask100   bool   // before bytes are sent: the last ones broke off
}

// attempt goes on with the upload, or begins one.
func (j *upload) attempt(ctx context.Context) error {
	resumed := j.location != ""
	if resumed {
		if err := j.ask(ctx); err != nil {
			return err
		}
	}
	if j.location == "" {
		if err := j.begin(ctx); err != nil {
			return err
		}
	}
	err := j.rest(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // what the registry says of bytes that we broke off is not about the upload
	}
	var refused *registry.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.Status == http.StatusRequestEntityTooLarge && j.smaller():
		return mendable{refused}
	case refused.Code == "DIGEST_INVALID", refused.Status == http.StatusBadRequest && j.stored > 0:
		return j.mismatch(ctx, refused)
	case refused.Status == http.StatusNotFound && refused.Code != "NAME_UNKNOWN":
		j.lost() // the upload is known no more
		return mendable{refused}
	case refused.Status == http.StatusRequestedRangeNotSatisfiable:
		return mendable{refused} // the next attempt asks where it stands
	}
	return err
}

// lost forgets the upload that was begun.
func (j *upload) lost() {
	j.transfer.Skip(-j.stored)
	j.location, j.stored = "", 0
	j.uploads.drop(j.target)
}

// mismatch begins again once, since bytes may change on the way; the second
// time our own file is looked at.
func (j *upload) mismatch(ctx context.Context, refused *registry.Refusal) error {
	j.lost()
	if j.wrong++; j.wrong == 1 {
		return mendable{refused}
	}
	if err := j.source.Verify(ctx, j.blob.Digest); err != nil {
		return err
	}
	return refused
}

// begin begins the upload.
func (j *upload) begin(ctx context.Context) (err error) {
	if j.location, err = j.BeginUpload(ctx, j.repository); err != nil {
		return err
	}
	if j.blob.Size >= resumable {
		j.uploads.set(j.target, j.location)
	}
	return nil
}

// rest sends what the registry does not have: all in the request that also
// completes the upload, or, when that is not all of the blob or too much for
// a proxy, in requests before it.
func (j *upload) rest(ctx context.Context) error {
	whole := j.stored == 0 && j.chunk.Load() == 0
	for !whole && j.stored < j.blob.Size {
		size := j.blob.Size - j.stored
		if chunk := j.chunk.Load(); chunk > 0 {
			size = min(size, chunk)
		}
		location, err := j.SendChunk(ctx, j.next(size))
		if j.noteBreak(err); err != nil {
			return err
		}
		j.location = location
		j.stored += size
	}
	if !whole {
		j.ask100 = false
		return j.Complete(ctx, registry.Chunk{Repository: j.repository, Location: j.location}, j.blob)
	}
	err := j.Complete(ctx, j.next(j.blob.Size), j.blob)
	j.noteBreak(err)
	return err
}

// next returns the chunk of a size that begins at what is stored.
func (j *upload) next(size int64) registry.Chunk {
	return registry.Chunk{Repository: j.repository, Location: j.location, Body: registry.NewBody(j.file, j.stored, size, j.transfer), Expect: j.ask100}
}

// noteBreak notes whether a chunk's connection broke: a registry that refuses
// bytes without reading them may close the connection before its answer is read,
// so the next chunk is asked for first, and the registry's own words arrive.
func (j *upload) noteBreak(err error) {
	j.ask100 = err != nil && !errors.As(err, new(*registry.Refusal))
}

// smaller makes the pieces smaller after a proxy refused one.
func (j *upload) smaller() bool {
	chunk := j.chunk.Load()
	switch {
	case chunk == 0:
		chunk = firstChunk
	case chunk/2 < leastChunk:
		return false
	default:
		chunk /= 2
	}
	j.chunk.Store(min(chunk, max(j.blob.Size/2, leastChunk)))
	return true
}
