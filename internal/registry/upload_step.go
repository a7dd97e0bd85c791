package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3"
	distributionstorage "github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// contentRange is the range of a chunk as the distribution specification has
// it: first and last byte, both counted from 0.
var contentRange = regexp.MustCompile(`^([0-9]{1,18})-([0-9]{1,18})$`)

// checkUpload refuses a range that is none, and a digest that content could be
// stored under and never be pulled or bundled by.
func checkUpload(q request) error {
	if text := q.Header.Get("Content-Range"); text != "" {
		m := contentRange.FindStringSubmatch(text)
		if m == nil || number(m[1]) > number(m[2]) {
			return ociErrorf(http.StatusRequestedRangeNotSatisfiable, codeRangeInvalid, "the Content-Range %q is not FIRST-LAST, the numbers of the chunk's first and last byte", shorten(text))
		}
	}
	if !q.URL.Query().Has("digest") {
		return nil
	}
	return checkDigest(q.URL.Query().Get("digest"))
}

// checkRange refuses a chunk that does not follow what is there, or that is not
// as long as it says.
func checkRange(q request, size int64) error {
	m := contentRange.FindStringSubmatch(q.Header.Get("Content-Range"))
	if m == nil || q.Header.Get("Content-Length") == "" {
		return nil
	}
	first, last := number(m[1]), number(m[2])
	if first != size {
		return errWrongRange
	}
	if q.ContentLength != last-first+1 {
		return ociErrorf(http.StatusBadRequest, codeSizeInvalid, "provided length did not match content length")
	}
	return nil
}

var errWrongRange = ociErrorf(http.StatusRequestedRangeNotSatisfiable, codeRangeInvalid, "invalid content range")

// number reads digits that fit.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// mount returns the blob that a client wants from another repository, nil when
// it wants none or may not pull it: then it uploads instead.
func (g *Registry) mount(q request) reference.Canonical {
	dgst, from := q.URL.Query().Get("mount"), q.URL.Query().Get("from")
	if q.route.kind != routeUploads || !repositoryPattern.MatchString(from) || strings.HasPrefix(from+"/", satellitesPrefix) ||
		checkDigest(dgst) != nil || g.control.CanPull(q.principal, from) != nil {
		return nil
	}
	name, err := reference.WithName(from)
	if err != nil {
		return nil
	}
	blob, err := reference.WithDigest(name, digest.Digest(dgst))
	if err != nil {
		return nil
	}
	return blob
}

// uploadStep makes one step of an upload, or a mount.
func (g *Registry) uploadStep(q request, source reference.Canonical, limit *quotaBody) (*answer, error) {
	repo, err := g.storage.named(q.Context(), q.route.repository)
	if err != nil {
		return nil, err
	}
	blobs := repo.Blobs(q.Context())
	if q.route.kind == routeUploads {
		return g.beginUpload(q, blobs, source)
	}
	upload, err := g.resumeUpload(q, blobs)
	if err != nil {
		return nil, err
	}
	switch q.Method {
	case http.MethodPatch:
		if err := g.receive(q, upload, limit); err != nil {
			return nil, err
		}
		return g.progress(q, upload, http.StatusAccepted)
	case http.MethodPut:
		return g.finishUpload(q, upload, limit)
	}
	if err := upload.Cancel(q.Context()); err != nil {
		return nil, g.fault(q.Context(), err)
	}
	return &answer{status: http.StatusNoContent, header: http.Header{"Docker-Upload-Uuid": {q.route.reference}}}, nil
}

// beginUpload begins an upload, if there is nothing to mount.
func (g *Registry) beginUpload(q request, blobs distribution.BlobStore, source reference.Canonical) (*answer, error) {
	var options []distribution.BlobCreateOption
	if source != nil {
		options = append(options, distributionstorage.WithMountFrom(source))
	}
	upload, err := blobs.Create(q.Context(), options...)
	var mounted distribution.ErrBlobMounted
	if errors.As(err, &mounted) {
		return stored(route{kind: routeBlob, repository: q.route.repository, reference: mounted.Descriptor.Digest.String()}), nil
	}
	if err != nil {
		return nil, g.fault(q.Context(), err)
	}
	return g.progress(q, upload, http.StatusAccepted)
}

// serveUpload says how far an upload is.
func (g *Registry) serveUpload(w http.ResponseWriter, q request) error {
	repo, err := g.storage.named(q.Context(), q.route.repository)
	if err != nil {
		return err
	}
	upload, err := g.openUpload(q, repo.Blobs(q.Context()))
	if err != nil {
		return err
	}
	a, err := g.progress(q, upload, http.StatusNoContent)
	if err != nil {
		return err
	}
	a.writeTo(w)
	return nil
}

func (g *Registry) openUpload(q request, blobs distribution.BlobStore) (distribution.BlobWriter, error) {
	upload, err := blobs.Resume(q.Context(), q.route.reference)
	if errors.Is(err, distribution.ErrBlobUploadUnknown) {
		return nil, ociErrorf(http.StatusNotFound, codeUploadUnknown, "blob upload unknown to registry").with(err.Error())
	}
	if err != nil {
		return nil, g.fault(q.Context(), err)
	}
	return upload, nil
}

// resumeUpload opens an upload where the client's URL says that it is.
func (g *Registry) resumeUpload(q request, blobs distribution.BlobStore) (distribution.BlobWriter, error) {
	state, err := g.storage.uploads.open(q.URL.Query().Get("_state"))
	if err != nil || state.Name != q.route.repository || state.UUID != q.route.reference {
		return nil, uploadInvalid(errForgedState)
	}
	upload, err := g.openUpload(q, blobs)
	if err != nil {
		return nil, err
	}
	err = checkRange(q, upload.Size())
	if upload.Size() != state.Offset {
		err = errWrongRange
	}
	if err != nil {
		_ = upload.Close() // nothing was written
		return nil, err
	}
	return upload, nil
}

func uploadInvalid(err error) error {
	return ociErrorf(http.StatusNotFound, codeUploadInvalid, "blob upload invalid").with(err.Error())
}

// receive adds what the client sends. What arrived stays, for the client to go on.
func (g *Registry) receive(q request, upload distribution.BlobWriter, limit *quotaBody) error {
	sent := &sentBody{Reader: q.Body}
	room := &roomBody{Reader: sent, storage: g.storage}
	var body io.Reader = room
	if limit != nil {
		limit.Reader = room
		body = limit
	}
	_, err := io.Copy(upload, body)
	if err == nil {
		return nil
	}
	_ = upload.Close() // err tells what is wrong
	switch {
	case limit != nil && limit.over:
		return g.control.OverQuota(q.Context(), q.route.repository)
	case room.over:
		return errLittleRoom
	case sent.err != nil:
		return ociErrorf(http.StatusBadRequest, codeUploadInvalid, "the upload stopped before its end; go on from where it is, or begin anew")
	}
	return g.fault(q.Context(), err)
}

// progress closes an upload for now, and says how far it is and how it goes on.
func (g *Registry) progress(q request, upload distribution.BlobWriter, status int) (*answer, error) {
	if err := upload.Close(); err != nil {
		return nil, g.fault(q.Context(), err)
	}
	size := upload.Size()
	location, err := g.storage.uploads.location(uploadState{Name: q.route.repository, UUID: upload.ID(), Offset: size, StartedAt: upload.StartedAt()})
	if err != nil {
		return nil, err
	}
	a := &answer{status: status, header: http.Header{}}
	a.header.Set("Location", location)
	a.header.Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	a.header.Set("Docker-Upload-UUID", upload.ID())
	a.header.Set("Content-Length", "0")
	return a, nil
}

// finishUpload adds what comes with the last step and makes a blob of it all.
func (g *Registry) finishUpload(q request, upload distribution.BlobWriter, limit *quotaBody) (*answer, error) {
	dgst := digest.Digest(q.URL.Query().Get("digest"))
	if dgst == "" {
		_ = upload.Close() // nothing was written
		return nil, ociErrorf(http.StatusBadRequest, codeDigestInvalid, "provided digest did not match uploaded content").with("digest missing")
	}
	if err := g.receive(q, upload, limit); err != nil {
		return nil, err
	}
	descriptor, err := upload.Commit(q.Context(), v1.Descriptor{Digest: dgst})
	if err == nil {
		return stored(route{kind: routeBlob, repository: q.route.repository, reference: descriptor.Digest.String()}), nil
	}
	_ = upload.Cancel(q.Context()) // what stays behind is purged in a week
	var wrong distribution.ErrBlobInvalidDigest
	switch {
	case errors.As(err, &wrong):
		return nil, ociErrorf(http.StatusBadRequest, codeDigestInvalid, "provided digest did not match uploaded content").with(err.Error())
	case errors.Is(err, distribution.ErrBlobInvalidLength):
		return nil, uploadInvalid(err)
	}
	return nil, g.fault(q.Context(), err)
}

// sentBody notes that a client's body broke off.
type sentBody struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// quotaBody is a body that ends where the quota does.
type quotaBody struct {
	io.Reader
	left int64
	over bool
}

// Read implements io.Reader.
func (b *quotaBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.over = true
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
