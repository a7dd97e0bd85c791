package registry

import (
	"context"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// putOther stores a manifest that is no algorithm version: by digest, as a
// part of an index, or under a tag of the client's own.
func (g *Registry) putOther(w http.ResponseWriter, q request, body []byte, mediaType string, doc *document) error {
	tag := q.route.reference
	if meant, near := constellation.NearGitHash(tag); near {
		return notQuiteHash(q.route.repository, tag, meant)
	}
	var a *answer
	err := g.control.StoreManifest(q.Context(), tagged(storedManifest(q.route.repository, body, doc), tag), func(ctx context.Context) (err error) {
		a, err = g.store(ctx, q, body, mediaType, doc)
		return err
	})
	if err != nil {
		return err
	}
	if !byDigest(tag) {
		if err := g.control.NotePushedTag(q.Context(), q.principal, q.route.repository, tag, bundle.Digest(body)); err != nil {
			return err
		}
		a.header.Set("Warning", `299 - "`+tag+` is stored and is no algorithm version: push under the Git hash of the commit to register one"`)
	}
	a.writeTo(w)
	return nil
}

// byDigest reports whether what is pushed under a reference belongs to a
// digest: the content itself, or, under a tag made of one, its referrers and
// signatures.
func byDigest(reference string) bool {
	return strings.HasPrefix(reference, "sha256:") || strings.HasPrefix(reference, "sha256-")
}

// notQuiteHash refuses a tag that was meant as a version and would be none.
func notQuiteHash(repository, tag, meant string) error {
	if meant != "" {
		return ociErrorf(http.StatusBadRequest, codeDenied, "the tag %s would register no version: push %s:%s, the Git hash alone in lower case", tag, repository, meant)
	}
	return ociErrorf(http.StatusBadRequest, codeDenied, "the tag %s would register no version: a version's tag has %s, and this one is nearly that", tag, constellation.HashRule)
}
