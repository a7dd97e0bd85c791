package install

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
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
	*registry
	retrier
	source   source
	uploads  *uploadJournal
	transfer *transfer
	chunk    atomic.Int64 // 0 until a proxy refused a large body
	sent     atomic.Int64 // blobs that were uploaded
	mounted  atomic.Int64
}

// target is one blob's way into one repository.
type target struct {
	blob       bundle.Descriptor
	repository string
	mounts     []string // repositories of the same registry that have it
}

// put gets a blob into its repository: it is there, or is mounted from another
// one, or is uploaded.
func (u *uploader) put(ctx context.Context, t target) error {
	what := "push " + short(t.blob.Digest) + " to " + u.host.RegistryStr() + "/" + t.repository
	if there, err := u.ready(ctx, t, what); there || err != nil {
		return err
	}
	file, err := u.source.open(t.blob.Digest)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	job := &upload{uploader: u, target: t, file: file, location: u.uploads.get(t)}
	err = u.retry(ctx, what, blobAttempts, func() (bool, error) {
		before := job.stored
		err := job.attempt(ctx)
		return job.stored-before >= progressBytes, u.judge(ctx, err, what)
	})
	if err != nil {
		return err
	}
	u.uploads.drop(t)
	u.sent.Add(1)
	return nil
}

// ready looks whether the blob is there, and else mounts it.
func (u *uploader) ready(ctx context.Context, t target, what string) (there bool, err error) {
	err = u.retry(ctx, what, blobAttempts, func() (bool, error) {
		if there, err = u.exists(ctx, t); there || err != nil {
			return false, u.judge(ctx, err, what)
		}
		for _, from := range t.mounts {
			if there, err = u.mount(ctx, t, from); there || err != nil {
				return false, u.judge(ctx, err, what)
			}
		}
		return false, nil
	})
	if there && err == nil {
		u.transfer.skip(t.blob.Size)
	}
	return there, err
}

func (u *uploader) exists(ctx context.Context, t target) (bool, error) {
	response, err := u.send(ctx, exchange{method: http.MethodHead, url: "/v2/" + t.repository + "/blobs/" + t.blob.Digest, repository: t.repository})
	if err != nil {
		return false, err
	}
	drain(response)
	switch response.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound, http.StatusForbidden: // as some registries answer for what is not there
		return false, nil
	}
	return false, laterRefusal(response)
}

// mount asks for a blob that another repository has; a registry that cannot
// begins an upload instead, which is then used.
func (u *uploader) mount(ctx context.Context, t target, from string) (bool, error) {
	response, err := u.send(ctx, exchange{method: http.MethodPost, repository: t.repository, mount: from,
		url: "/v2/" + t.repository + "/blobs/uploads/?mount=" + t.blob.Digest + "&from=" + strings.ReplaceAll(from, "/", "%2F")})
	if err != nil {
		return false, err
	}
	defer drain(response)
	switch response.StatusCode {
	case http.StatusCreated:
		u.mounted.Add(1)
		return true, nil
	case http.StatusAccepted:
		if location, err := follow(response); err == nil {
			u.uploads.set(t, location)
		}
	}
	return false, nil // a mount that is refused only costs the upload
}

// judge turns a failure into what the retrying knows: final, or to be tried
// again, and when.
func (u *uploader) judge(ctx context.Context, err error, what string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	explained := u.explain(err, what)
	var refused *refusal
	var comeBack later
	switch {
	case errors.As(err, &comeBack):
		u.transfer.width.trouble()
		return later{explained, comeBack.after}
	case errors.As(err, &refused):
		switch s := refused.status; {
		case s == http.StatusRequestTimeout, s == http.StatusConflict, s == http.StatusTooManyRequests, s >= 500 && s != http.StatusNotImplemented:
			u.transfer.width.trouble()
			return explained
		}
		return final{explained}
	case errors.As(err, new(damaged)), isDiskError(err), explained.Code == CodeAuth:
		return final{explained}
	}
	u.transfer.width.trouble()
	return explained
}

// upload is the sending of one blob, over several attempts and, by the
// journal, several runs.
type upload struct {
	*uploader
	target
	file     readerAt
	location string // of the upload that is begun, "" for none
	stored   int64  // bytes that the registry has
	wrong    int    // times that the registry found other bytes than ours
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
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.status == http.StatusRequestEntityTooLarge && j.smaller():
		return errAgain
	case refused.code == "DIGEST_INVALID", refused.status == http.StatusBadRequest && j.stored > 0:
		return j.mismatch(ctx, refused)
	case refused.status == http.StatusNotFound && refused.code != "NAME_UNKNOWN":
		j.lost() // the upload is known no more
		return errAgain
	case refused.status == http.StatusRequestedRangeNotSatisfiable:
		return errAgain // the next attempt asks where it stands
	}
	return err
}

// errAgain is a refusal that the next attempt gets around.
var errAgain = errors.New("the registry wants it sent otherwise")

// lost forgets the upload that was begun.
func (j *upload) lost() {
	j.transfer.skip(-j.stored)
	j.location, j.stored = "", 0
	j.uploads.drop(j.target)
}

// mismatch begins again once, since bytes may change on the way; the second
// time our own file is looked at.
func (j *upload) mismatch(ctx context.Context, refused *refusal) error {
	j.lost()
	if j.wrong++; j.wrong == 1 {
		return errAgain
	}
	if err := j.source.verify(ctx, j.blob.Digest); err != nil {
		return err
	}
	return refused
}

func (j *upload) begin(ctx context.Context) error {
	response, err := j.send(ctx, exchange{method: http.MethodPost, url: "/v2/" + j.repository + "/blobs/uploads/", repository: j.repository})
	if err != nil {
		return err
	}
	defer drain(response)
	if response.StatusCode != http.StatusAccepted {
		return laterRefusal(response)
	}
	if j.location, err = follow(response); err != nil {
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
		if err := j.patch(ctx); err != nil {
			return err
		}
	}
	e := exchange{method: http.MethodPut, repository: j.repository, header: http.Header{},
		answer: time.Duration(j.blob.Size/commitRate) * time.Second}
	if whole {
		e.body = j.body(j.blob.Size)
		e.header.Set("Content-Type", "application/octet-stream")
	}
	var err error
	if e.url, err = withDigest(j.location, j.blob.Digest); err != nil {
		return err
	}
	response, err := j.send(ctx, e)
	if err == nil {
		defer drain(response)
		if response.StatusCode == http.StatusCreated || response.StatusCode == http.StatusNoContent {
			return nil
		}
		err = laterRefusal(response)
	}
	if e.body != nil {
		e.body.forget()
	}
	return err
}

// commitRate is how many bytes a second a registry may be expected to move
// when it completes an upload: those on object storage copy the whole blob.
const commitRate = 5 << 20

// patch sends one piece of the blob: all of the rest, or a chunk of it.
func (j *upload) patch(ctx context.Context) error {
	size := j.blob.Size - j.stored
	if chunk := j.chunk.Load(); chunk > 0 {
		size = min(size, chunk)
	}
	e := exchange{method: http.MethodPatch, url: j.location, repository: j.repository, body: j.body(size), header: http.Header{
		"Content-Type":  {"application/octet-stream"},
		"Content-Range": {fmt.Sprintf("%d-%d", j.stored, j.stored+size-1)},
	}}
	response, err := j.send(ctx, e)
	if err != nil {
		e.body.forget()
		return err
	}
	defer drain(response)
	if response.StatusCode != http.StatusAccepted {
		e.body.forget()
		return laterRefusal(response)
	}
	if location, err := follow(response); err == nil {
		j.location = location
	}
	j.stored += size
	return nil
}

func (j *upload) body(size int64) *uploadBody {
	return &uploadBody{from: j.file, at: j.stored, size: size, count: j.transfer}
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

// laterRefusal is a refusal with the time that its answer says to come back.
func laterRefusal(response *http.Response) error {
	refused := newRefusal(response)
	if slices.Contains([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout}, refused.status) {
		return later{refused, retryAfter(response)}
	}
	return refused
}
