package registry

import (
	"context"
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

// upload makes a step of an upload, or a mount. The answer goes out only once
// the blob is noted, if it is the last step.
func (g *Registry) upload(w http.ResponseWriter, q request) error {
	if err := checkUpload(q); err != nil {
		return err
	}
	limit, err := g.room(q)
	if err != nil {
		return err
	}
	source := g.mount(q)
	dgst := ""
	switch {
	case source != nil:
		dgst = source.Digest().String()
	case q.route.kind == routeUpload:
		dgst = q.URL.Query().Get("digest")
	}
	if dgst != "" {
		if err := g.control.KeepBlob(q.Context(), dgst); err != nil {
			return err
		}
	}
	a, err := g.uploadStep(q, source, limit)
	if err != nil {
		return err
	}
	if a.status == http.StatusCreated && dgst != "" {
		err := g.control.NoteBlob(q.Context(), q.route.repository, pushedBlob{g.storage, q.route.repository, dgst})
		if constellation.KindOf(err) == constellation.KindConflict && source != nil {
			a, err = g.uploadStep(q, nil, limit) // then the client uploads it
		}
		if constellation.KindOf(err) == constellation.KindConflict {
			return ociErrorf(http.StatusServiceUnavailable, codeUnavailable, "%s", toOCI(err).message)
		}
		if err != nil {
			return err
		}
	}
	a.writeTo(w)
	return nil
}

// room refuses what is beyond the disk or the owner's quota before it is read. Where there is a
// quota it returns the limit of what has no length.
func (g *Registry) room(q request) (*quotaBody, error) {
	if q.Method == http.MethodDelete {
		return nil, nil
	}
	if err := g.storage.refuseWithoutRoom(q.ContentLength); err != nil {
		return nil, err
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

// pushedBlob is a blob in a repository; it implements space.PushedBlob.
type pushedBlob struct {
	storage            *Storage
	repository, digest string
}

// Find implements space.PushedBlob.
func (b pushedBlob) Find(ctx context.Context) (constellation.StoredBlob, error) {
	return b.storage.StoredBlob(ctx, b.repository, b.digest)
}

// Unlink implements space.PushedBlob.
func (b pushedBlob) Unlink(ctx context.Context) error {
	return b.storage.RemoveLink(ctx, b.repository, b.digest)
}
