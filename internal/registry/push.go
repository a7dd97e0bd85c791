package registry

import (
	"context"
	"net/http"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// putManifest stores a manifest; under a Git hash it registers the version.
func (g *Registry) putManifest(w http.ResponseWriter, q request) error {
	defer g.bodies.Attach(q.Request)()
	body, doc, err := readManifest(w, q.Request)
	if err != nil {
		return err
	}
	mediaType := contentType(q.Request, doc)
	q.Request = q.Clone(q.Context())
	q.Header.Set("Content-Type", mediaType)
	if constellation.IsGitHash(q.route.reference) {
		return g.putAlgorithm(w, q, body, mediaType, doc)
	}
	return g.putOther(w, q, body, mediaType, doc)
}

// store passes the manifest to distribution and notes what it refers to. A
// client that hears nothing sends the manifest again, so a note that is
// missing after a crash is made then.
func (g *Registry) store(ctx context.Context, q request, body []byte, mediaType string, doc *document) (*bufferedResponse, error) {
	a := g.forwardBuffered(ctx, q, body)
	if a.status >= http.StatusInternalServerError {
		return nil, g.fault(ctx)
	}
	if !a.ok() || doc.Subject == nil {
		return a, nil
	}
	if err := g.storage.addReferrer(ctx, q.route.repository, body, mediaType, doc); err != nil {
		return nil, err
	}
	a.header.Set("OCI-Subject", doc.Subject.Digest.String())
	return a, nil
}

// putAlgorithm registers the image as the version that its tag names. The
// answer goes out only once both the image and the version are stored.
func (g *Registry) putAlgorithm(w http.ResponseWriter, q request, body []byte, mediaType string, doc *document) error {
	push, err := g.inspect(q, body, mediaType, doc)
	if err != nil {
		return err
	}
	var held *bufferedResponse
	_, _, err = g.control.PushAlgorithm(q.Context(), q.principal, push, func(ctx context.Context) error {
		a, err := g.store(ctx, q, body, mediaType, doc)
		if err != nil {
			return err
		}
		held = a
		if !a.ok() {
			return a
		}
		return nil
	})
	switch {
	case held != nil && !held.ok():
		held.writeTo(w)
	case err != nil:
		return err
	case held != nil:
		held.writeTo(w)
	default: // this very image is registered already
		w.Header().Set("Location", route{kind: routeManifest, repository: q.route.repository, reference: push.Image.Digest}.path())
		w.Header().Set("Docker-Content-Digest", push.Image.Digest)
		w.WriteHeader(http.StatusCreated)
	}
	return nil
}

// inspect reads from the image all that its registration needs.
func (g *Registry) inspect(q request, body []byte, mediaType string, doc *document) (control.Push, error) {
	repository := q.route.repository
	owner, name, _ := strings.Cut(repository, "/")
	inspector := inspector{ctx: q.Context(), storage: g.storage, repository: repository, sizes: map[string]int64{}, platforms: map[string]bool{}}
	digest := bundle.Digest(body)
	if err := inspector.manifest(digest, body, mediaType, doc, nil, 0); err != nil {
		return control.Push{}, err
	}
	runtime, err := inspector.runtime()
	if err != nil {
		return control.Push{}, err
	}
	if inspector.weights != nil {
		inspector.labels = doc.Annotations
	}
	return control.Push{
		Ref:             constellation.AlgorithmRef{Owner: owner, Name: name, Hash: q.route.reference},
		SemanticVersion: semanticVersion(inspector.labels[v1.AnnotationVersion]),
		Image: constellation.Image{
			Repository: repository, Digest: digest, MediaType: mediaType,
			Size: inspector.size(), Platforms: inspector.sortedPlatforms(),
		},
		Manifest: tagged(storedManifest(repository, body, doc), q.route.reference),
		Runtime:  runtime, Weights: inspector.weights,
	}, nil
}

// runtime is how the image wants to be run; weights do not run.
func (i *inspector) runtime() (constellation.Runtime, error) {
	if i.weights != nil {
		return constellation.Runtime{}, nil
	}
	return constellation.RuntimeFromLabels(i.labels)
}

// semanticVersion returns the label's version, or "" when it is none: images
// inherit the label from their base, where it is often such as "22.04".
func semanticVersion(label string) string {
	version := strings.TrimPrefix(label, "v")
	if _, ok := constellation.ParseSemanticVersion(version); !ok {
		return ""
	}
	return version
}
