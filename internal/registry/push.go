package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3"
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
	if constellation.IsGitHash(q.route.reference) {
		return g.putAlgorithm(w, q, body, mediaType, doc)
	}
	return g.putOther(w, q, body, mediaType, doc)
}

// store stores the manifest and notes what it refers to. A client that hears
// nothing sends the manifest again, so a note that is missing after a crash is
// made then.
func (g *Registry) store(ctx context.Context, q request, body []byte, mediaType string, doc *document) (*answer, error) {
	a, err := g.storeManifest(ctx, q, body, mediaType)
	if err != nil || doc.Subject == nil {
		return a, err
	}
	if err := g.storage.addReferrer(ctx, q.route.repository, body, mediaType, doc); err != nil {
		return nil, err
	}
	a.header.Set("OCI-Subject", doc.Subject.Digest.String())
	return a, nil
}

// storeManifest stores the manifest, and the tag if it has one.
func (g *Registry) storeManifest(ctx context.Context, q request, body []byte, mediaType string) (*answer, error) {
	manifest, descriptor, err := distribution.UnmarshalManifest(mediaType, body)
	if err != nil {
		return nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "manifest invalid").with(err.Error())
	}
	tag := q.route.reference
	if strings.Contains(tag, ":") {
		if tag != descriptor.Digest.String() {
			return nil, ociErrorf(http.StatusBadRequest, codeDigestInvalid, "provided digest did not match uploaded content")
		}
		tag = ""
	}
	repo, err := g.storage.named(ctx, q.route.repository)
	if err != nil {
		return nil, err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return nil, g.fault(ctx, err)
	}
	if _, err := manifests.Put(ctx, manifest); err != nil {
		return nil, g.refusedManifest(ctx, err)
	}
	if tag != "" {
		if err := repo.Tags(ctx).Tag(ctx, tag, descriptor); err != nil {
			return nil, g.fault(ctx, err)
		}
	}
	return stored(route{kind: routeManifest, repository: q.route.repository, reference: descriptor.Digest.String()}), nil
}

// refusedManifest is the answer to a manifest that was not stored: every blob
// that it names and the repository lacks, or a failure.
func (g *Registry) refusedManifest(ctx context.Context, err error) error {
	var verification distribution.ErrManifestVerification
	if !errors.As(err, &verification) || len(verification) == 0 {
		return g.fault(ctx, err)
	}
	var missing []*ociError
	for _, one := range verification {
		var unknown distribution.ErrManifestBlobUnknown
		if !errors.As(one, &unknown) {
			return g.fault(ctx, err)
		}
		missing = append(missing, ociErrorf(http.StatusBadRequest, codeManifestBlob, "blob unknown to registry").with(unknown.Digest))
	}
	missing[0].also = missing[1:]
	return missing[0]
}

// putAlgorithm registers the image as the version that its tag names. The
// answer goes out only once both the image and the version are stored.
func (g *Registry) putAlgorithm(w http.ResponseWriter, q request, body []byte, mediaType string, doc *document) error {
	push, err := inspect(q.Context(), g.storage, q.route.repository, q.route.reference, body, mediaType, doc)
	if err != nil {
		return err
	}
	var held *answer
	_, _, err = g.control.PushAlgorithm(q.Context(), q.principal, push, func(ctx context.Context) (err error) {
		held, err = g.store(ctx, q, body, mediaType, doc)
		return err
	})
	if err != nil {
		return err
	}
	held.writeTo(w)
	return nil
}

// inspect reads from the image all that its registration under a tag needs.
func inspect(ctx context.Context, storage *Storage, repository, tag string, body []byte, mediaType string, doc *document) (control.Push, error) {
	owner, name, _ := strings.Cut(repository, "/")
	inspector := inspector{ctx: ctx, storage: storage, repository: repository, sizes: map[string]int64{}, platforms: map[string]bool{}}
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
		Ref:             constellation.AlgorithmRef{Owner: owner, Name: name, Hash: tag},
		SemanticVersion: semanticVersion(inspector.labels[v1.AnnotationVersion]),
		Image: constellation.Image{
			Repository: repository, Digest: digest, MediaType: mediaType,
			Size: inspector.size(), Platforms: inspector.sortedPlatforms(),
		},
		Manifest: tagged(storedManifest(repository, body, doc), tag),
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
