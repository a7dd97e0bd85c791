package registry

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/distribution/distribution/v3"
	"github.com/opencontainers/go-digest"
)

// read serves what changes nothing.
func (g *Registry) read(w http.ResponseWriter, q request) error {
	if err := g.touch(q); err != nil {
		return err
	}
	switch q.route.kind {
	case routeCatalog:
		return g.serveCatalog(w, q)
	case routeTags:
		return g.serveTags(w, q)
	case routeManifest:
		return g.serveManifest(w, q)
	case routeBlob:
		return g.serveBlob(w, q)
	}
	return g.serveUpload(w, q)
}

// serveBlob sends a blob that the repository has, or where the store has it.
func (g *Registry) serveBlob(w http.ResponseWriter, q request) error {
	repo, err := g.storage.named(q.Context(), q.route.repository)
	if err != nil {
		return err
	}
	err = repo.Blobs(q.Context()).ServeBlob(q.Context(), w, q.Request, digest.Digest(q.route.reference))
	if errors.Is(err, distribution.ErrBlobUnknown) {
		return g.unknown(q, q.route.repository, q.route.reference, codeBlobUnknown,
			ociErrorf(http.StatusNotFound, codeBlobUnknown, "blob unknown to registry").with(q.route.reference))
	}
	if err != nil {
		return g.fault(q.Context(), err)
	}
	return nil
}

// serveManifest sends a manifest as it was pushed: its bytes do not depend on
// what the client accepts.
func (g *Registry) serveManifest(w http.ResponseWriter, q request) error {
	ctx := q.Context()
	repo, err := g.storage.named(ctx, q.route.repository)
	if err != nil {
		return err
	}
	dgst, err := g.resolve(q, repo)
	if err != nil {
		return err
	}
	if known := q.Header["If-None-Match"]; slices.Contains(known, dgst.String()) || slices.Contains(known, `"`+dgst.String()+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return g.fault(ctx, err)
	}
	manifest, err := manifests.Get(ctx, dgst)
	var unknown distribution.ErrManifestUnknownRevision
	if errors.As(err, &unknown) {
		return g.unknown(q, q.route.repository, dgst.String(), codeManifestUnknown, manifestUnknown(err))
	}
	if err != nil {
		return g.fault(ctx, err)
	}
	mediaType, payload, err := manifest.Payload()
	if err != nil {
		return g.fault(ctx, err)
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	h.Set("Docker-Content-Digest", dgst.String())
	h.Set("Etag", `"`+dgst.String()+`"`)
	_, _ = w.Write(payload) // the client's connection is not ours to mend
	return nil
}

// resolve returns the digest that a tag points at, or that the reference is.
func (g *Registry) resolve(q request, repo distribution.Repository) (digest.Digest, error) {
	if dgst, err := digest.Parse(q.route.reference); err == nil {
		return dgst, nil
	}
	ctx := q.Context()
	descriptor, err := repo.Tags(ctx).Get(ctx, q.route.reference)
	var unknown distribution.ErrTagUnknown
	if errors.As(err, &unknown) {
		return "", g.unknownTag(q, repo, manifestUnknown(err))
	}
	if err != nil {
		return "", g.fault(ctx, err)
	}
	return descriptor.Digest, nil
}

func manifestUnknown(err error) error {
	return ociErrorf(http.StatusNotFound, codeManifestUnknown, "manifest unknown").with(err.Error())
}

// answer is a success that is held back until the change that it reports is
// noted; it has no body.
type answer struct {
	status int
	header http.Header
}

// stored is the answer to what is stored from now on.
func stored(at route) *answer {
	a := &answer{status: http.StatusCreated, header: http.Header{}}
	a.header.Set("Location", at.path())
	a.header.Set("Docker-Content-Digest", at.reference)
	a.header.Set("Content-Length", "0")
	return a
}

// writeTo sends the answer.
func (a *answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
}
