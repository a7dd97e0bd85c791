package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// serveSatellite answers for satellites/SATELLITE_ID: a repository that is
// made from the satellite's launches and holds what their bundles reach, and
// nothing else.
func (g *Registry) serveSatellite(w http.ResponseWriter, q request) error {
	switch q.route.kind {
	case routeTags:
		return g.serveLaunches(w, q)
	case routeManifest:
		return g.serveBundleManifest(w, q)
	case routeBlob:
		return g.serveBundleBlob(w, q)
	case routeReferrers:
		// A bundle has no referrers: who may see it sees all of it.
		return writeReferrers(w, []v1.Descriptor{})
	}
	return allowed(q.route, q.Method)
}

// serveBundleManifest serves the bundle's index by launch, and it or any
// manifest under it by digest.
func (g *Registry) serveBundleManifest(w http.ResponseWriter, q request) error {
	digest := q.route.reference
	var b *bundle.Bundle
	var err error
	if strings.Contains(digest, ":") {
		b, err = g.control.BundleDocument(q.Context(), q.principal, q.route.satelliteID, digest)
	} else {
		if !uuidPattern.MatchString(digest) { // no launch's ID
			return unknownManifest(q.route)
		}
		b, _, err = g.control.LaunchBundle(q.Context(), q.principal, q.route.satelliteID, digest)
		if err == nil {
			digest = bundle.Digest(b.Index)
		}
	}
	if err != nil {
		return recode(err, codeManifestUnknown)
	}
	mediaType, ok := b.MediaTypes[digest]
	if !ok {
		return unknownManifest(q.route)
	}
	body, ok := b.Documents[digest]
	if !ok {
		if body, err = g.storage.Manifest(q.Context(), b.Repositories[digest], digest); err != nil {
			return g.unknown(q, b.Repositories[digest], digest, codeManifestUnknown, err)
		}
	}
	serveContent(w, q.Request, digest, mediaType, bytes.NewReader(body))
	return nil
}

// serveBundleBlob serves the plan's blobs from memory and an image's from
// storage, by ranges when the client asks for them.
func (g *Registry) serveBundleBlob(w http.ResponseWriter, q request) error {
	digest := q.route.reference
	b, err := g.control.BundleDocument(q.Context(), q.principal, q.route.satelliteID, digest)
	if err != nil {
		return recode(err, codeBlobUnknown)
	}
	if body, ok := b.Documents[digest]; ok {
		serveContent(w, q.Request, digest, "application/octet-stream", bytes.NewReader(body))
		return nil
	}
	repository, ok := b.Repositories[digest]
	if !ok {
		return ociErrorf(http.StatusNotFound, codeBlobUnknown, "no bundle of satellite %s holds %s", q.route.satelliteID, digest)
	}
	blob, _, err := g.storage.Blob(q.Context(), repository, digest)
	if err != nil {
		return g.unknown(q, repository, digest, codeBlobUnknown, err)
	}
	defer func() { _ = blob.Close() }() // only read
	address, err := g.storage.Redirect(q.Request, digest)
	if err != nil {
		return err
	}
	if address != "" {
		w.Header().Set("Docker-Content-Digest", digest)
		http.Redirect(w, q.Request, address, http.StatusTemporaryRedirect)
		return nil
	}
	serveContent(w, q.Request, digest, "application/octet-stream", blob)
	return nil
}

// serveContent answers with content that never changes: ranges, If-Range and
// If-None-Match go by the digest.
func serveContent(w http.ResponseWriter, r *http.Request, digest, mediaType string, content io.ReadSeeker) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Docker-Content-Digest", digest)
	h.Set("ETag", `"`+digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
}

func unknownManifest(route route) error {
	return ociErrorf(http.StatusNotFound, codeManifestUnknown, "no launch or manifest %s in %s: a bundle is at satellites/SATELLITE_ID:LAUNCH_ID", route.reference, route.repository)
}

// recode sets the code of "not found" to the one that the endpoint uses for it.
func recode(err error, code string) error {
	if constellation.KindOf(err) != constellation.KindNotFound {
		return err
	}
	e := toOCI(err)
	e.code = code
	return e
}

// serveLaunches lists the satellite's launches as tags.
func (g *Registry) serveLaunches(w http.ResponseWriter, q request) error {
	tags, err := g.launchIDs(q.Context(), q.principal, q.route.satelliteID)
	if err != nil {
		return err
	}
	parameters := q.URL.Query()
	start, found := slices.BinarySearch(tags, parameters.Get("last"))
	if found {
		start++
	}
	tags = tags[start:]
	if s := parameters.Get("n"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return ociErrorf(http.StatusBadRequest, codePagination, "n is a whole number; not %q", shorten(s))
		}
		if n > 0 && n < len(tags) {
			next := url.Values{"n": {s}, "last": {tags[n-1]}}
			w.Header().Set("Link", "<"+q.route.path()+"?"+next.Encode()+`>; rel="next"`)
		}
		tags = tags[:min(n, len(tags))]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": q.route.repository, "tags": tags}) // nobody left to tell
	return nil
}

// launchIDs returns every launch of the satellite, ordered by ID.
func (g *Registry) launchIDs(ctx context.Context, principal control.Principal, satelliteID string) ([]string, error) {
	ids := []string{}
	query := control.ListQuery{Limit: 500}
	for {
		page, err := g.control.ListLaunches(ctx, principal, satelliteID, query)
		if err != nil {
			return nil, err
		}
		for _, launch := range page.Items {
			ids = append(ids, launch.ID)
		}
		if page.Marker == "" {
			slices.Sort(ids)
			return ids, nil
		}
		query.Marker = page.Marker
	}
}
