package registry

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// touch keeps what a client asks for from being removed before it relies on it.
func (g *Registry) touch(q request) error {
	switch q.route.kind {
	case routeBlob:
		return g.control.TouchBlob(q.Context(), q.route.reference)
	case routeManifest:
		return g.control.TouchManifest(q.Context(), q.route.repository, q.route.reference)
	}
	return nil
}

// tagged returns the manifest as it is pushed: under a tag, or by digest.
func tagged(m *constellation.StoredManifest, reference string) constellation.StoredManifest {
	if !strings.Contains(reference, ":") {
		m.Tag = reference
	}
	return *m
}

// upload passes a step of an upload, or a mount, on to distribution. The answer goes
// out only once the blob is noted, if it is the last step.
func (g *Registry) upload(w http.ResponseWriter, q request) error {
	if err := checkUpload(q); err != nil {
		return err
	}
	limit, err := g.room(q)
	if err != nil {
		return err
	}
	parameters := g.query(q)
	dgst := parameters.Get("mount")
	if q.route.kind == routeUpload {
		dgst = parameters.Get("digest")
	}
	if dgst != "" {
		if err := g.control.KeepBlob(q.Context(), dgst); err != nil {
			return err
		}
	}
	a, err := g.forwardUpload(q, limit)
	if err != nil {
		return err
	}
	if a.status == http.StatusCreated && dgst != "" {
		err := g.control.NoteBlob(q.Context(), q.route.repository, pushedBlob{g.storage, q.route.repository, dgst})
		if constellation.KindOf(err) == constellation.KindConflict && parameters.Has("mount") {
			q.Request = q.Clone(q.Context())
			q.URL.RawQuery = "" // then the client uploads it
			a, err = g.forwardUpload(q, limit)
		}
		if constellation.KindOf(err) == constellation.KindConflict {
			return ociErrorf(http.StatusServiceUnavailable, codeUnavailable, "%s", toOCI(err).message)
		}
		if err != nil {
			return err
		}
	}
	w.Header().Del(apiVersionHeader) // distribution adds its own
	a.writeTo(w)
	return nil
}

// forwardUpload returns distribution's answer to a step of an upload.
func (g *Registry) forwardUpload(q request, limit *quotaBody) (*bufferedResponse, error) {
	a := &bufferedResponse{header: http.Header{}}
	sent := &sentBody{ReadCloser: q.Body}
	var body io.ReadCloser = sent
	if limit != nil {
		limit.ReadCloser = sent
		body = limit
	}
	g.storage.app.ServeHTTP(a, g.outgoing(q.Context(), q, body))
	if a.status == 0 {
		a.status = http.StatusOK
	}
	switch {
	case limit != nil && limit.over:
		return nil, g.control.OverQuota(q.Context(), q.route.repository)
	case a.status < statusClientClosed:
		return a, nil
	case sent.err != nil: // distribution takes it for a failure of its own
		return nil, ociErrorf(http.StatusBadRequest, codeUploadInvalid, "the upload stopped before its end; go on from where it is, or begin anew")
	}
	return nil, g.fault(q.Context())
}

// room refuses what is beyond the owner's quota before it is read. Where there is a
// quota it returns the limit of what has no length.
func (g *Registry) room(q request) (*quotaBody, error) {
	if q.Method == http.MethodDelete {
		return nil, nil
	}
	left, err := g.control.PushRoom(q.Context(), q.route.repository)
	if err != nil || left < 0 {
		return nil, err
	}
	if q.ContentLength > left {
		return nil, g.control.OverQuota(q.Context(), q.route.repository)
	}
	return &quotaBody{left: left}, nil
}

// quotaBody is a body that ends where the quota does.
type quotaBody struct {
	io.ReadCloser
	left int64
	over bool
}

// Read implements io.Reader.
func (b *quotaBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.over = true
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// pushedBlob is a blob in a repository; it implements control.PushedBlob.
type pushedBlob struct {
	storage            *Storage
	repository, digest string
}

// Find implements control.PushedBlob.
func (b pushedBlob) Find(ctx context.Context) (constellation.StoredBlob, error) {
	return b.storage.StoredBlob(ctx, b.repository, b.digest)
}

// Unlink implements control.PushedBlob.
func (b pushedBlob) Unlink(ctx context.Context) error {
	return b.storage.RemoveLink(ctx, b.repository, b.digest)
}
