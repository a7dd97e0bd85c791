package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"sort"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Annotations in the bundle's index and plan manifest.
const (
	AnnotationVanityURL = "constellation.vanity-url"
	AnnotationAlgorithm = "constellation.algorithm"
	AnnotationWeights   = "constellation.weights" // OWNER/NAME/HASH
	AnnotationSystem    = "constellation.system"
	AnnotationPlan      = "constellation.plan"      // "true" on the plan's descriptor
	AnnotationSignature = "constellation.signature" // a Signature as JSON, on the root's layer
)

// emptyConfig is the OCI empty descriptor's content (image-spec, guidance for
// artifacts).
var emptyConfig = []byte("{}")

// Content reads manifests of the mothership's registry.
type Content interface {
	// Manifest returns the bytes of a manifest or index, as they were pushed.
	Manifest(ctx context.Context, repository, digest string) ([]byte, error)
}

// Bundle is a launch's bundle in memory: its own documents, and where in the
// registry each other manifest and blob is.
type Bundle struct {
	Plan      []byte
	Root      []byte
	Signature Signature
	Manifest  []byte // of the plan artifact
	Index     []byte // the bundle's image index

	// Documents are the bytes above, and the empty config, by digest.
	Documents map[string][]byte
	// MediaTypes are the media types of every manifest, own and foreign.
	MediaTypes map[string]string
	// Repositories says which repository holds each foreign manifest or blob.
	Repositories map[string]string
}

// Build makes the bundle of a plan: the same plan, content, key and rotations that
// led to the key give the same bytes. It reads every manifest that the plan
// reaches, and no blob.
func Build(ctx context.Context, plan *Plan, content Content, key ed25519.PrivateKey, rotations ...Rotation) (*Bundle, error) {
	if err := plan.Check(); err != nil { // what we would refuse to read is not made
		return nil, fmt.Errorf("check the plan: %w", err)
	}
	b := &Bundle{Documents: map[string][]byte{}, MediaTypes: map[string]string{}, Repositories: map[string]string{}}
	w := walker{content: content, bundle: b, blobs: map[string]Descriptor{}}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var images []Descriptor
	for _, image := range plan.Images() {
		size, err := w.image(ctx, image.Repository, image.Digest, image.MediaType)
		if err != nil {
			return nil, err
		}
		hash, err := v1.NewHash(image.Digest)
		if err != nil {
			return nil, fmt.Errorf("digest of %s: %w", image.Repository, err)
		}
		images = append(images, Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: size})
		index.Manifests = append(index.Manifests, v1.Descriptor{
			MediaType: types.MediaType(image.MediaType), Digest: hash, Size: size,
			Annotations: imageAnnotations(plan, image.Digest),
		})
	}
	var err error
	if b.Plan, err = encode(plan); err != nil {
		return nil, err
	}
	root := Root{
		SchemaVersion: schemaFirst,
		SatelliteID:   plan.Satellite.ID, LaunchID: plan.Launch.ID, Version: plan.Satellite.Version,
		Plan:   Descriptor{MediaType: MediaTypePlan, Digest: Digest(b.Plan), Size: int64(len(b.Plan))},
		Images: images, Blobs: w.sorted(),
	}
	if b.Root, err = encode(root); err != nil {
		return nil, err
	}
	b.Signature = Sign(key, b.Root)
	b.Signature.Rotations = rotations
	if b.Manifest, err = planManifest(b); err != nil {
		return nil, err
	}
	// No artifactType here: skopeo of Debian 12 does not know it in a
	// descriptor, drops it, and so would change the index's digest.
	index.Manifests = append(index.Manifests, v1.Descriptor{
		MediaType: types.OCIManifestSchema1,
		Digest:    hashOf(b.Manifest), Size: int64(len(b.Manifest)),
		Annotations: map[string]string{AnnotationPlan: "true"},
	})
	if b.Index, err = encode(index); err != nil {
		return nil, err
	}
	for _, document := range [][]byte{b.Plan, b.Root, b.Manifest, b.Index, emptyConfig} {
		b.Documents[Digest(document)] = document
	}
	b.MediaTypes[Digest(b.Manifest)] = string(types.OCIManifestSchema1)
	b.MediaTypes[Digest(b.Index)] = string(types.OCIImageIndex)
	return b, nil
}

// planManifest is the OCI artifact that carries the plan and its signed root.
func planManifest(b *Bundle) ([]byte, error) {
	signature, err := encode(b.Signature)
	if err != nil {
		return nil, err
	}
	return encode(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: MediaTypePlan,
		Config: v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: hashOf(emptyConfig), Size: int64(len(emptyConfig))},
		Layers: []v1.Descriptor{
			{MediaType: MediaTypePlan, Digest: hashOf(b.Plan), Size: int64(len(b.Plan)),
				Annotations: map[string]string{"org.opencontainers.image.title": "plan.json"}},
			{MediaType: MediaTypeRoot, Digest: hashOf(b.Root), Size: int64(len(b.Root)),
				Annotations: map[string]string{"org.opencontainers.image.title": "launch.json", AnnotationSignature: string(signature)}},
		},
	})
}

func imageAnnotations(plan *Plan, digest string) map[string]string {
	if plan.System.Image.Digest == digest {
		return map[string]string{AnnotationSystem: plan.System.Version}
	}
	for _, a := range plan.Algorithms {
		if a.Image.Digest == digest {
			return map[string]string{AnnotationVanityURL: a.VanityURL, AnnotationAlgorithm: a.Algorithm}
		}
	}
	for _, w := range plan.Weights() {
		if w.Image.Digest == digest {
			return map[string]string{AnnotationWeights: w.Artifact}
		}
	}
	return nil
}

// walker collects every manifest and blob that images reach.
type walker struct {
	content Content
	bundle  *Bundle
	blobs   map[string]Descriptor
}

// image reads one manifest or index and what it reaches; it returns its size.
func (w *walker) image(ctx context.Context, repository, digest, mediaType string) (int64, error) {
	data, err := w.content.Manifest(ctx, repository, digest)
	if err != nil {
		return 0, fmt.Errorf("read manifest %s@%s: %w", repository, digest, err)
	}
	w.note(repository, Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(data))})
	w.bundle.MediaTypes[digest] = mediaType
	if types.MediaType(mediaType).IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(data))
		if err != nil {
			return 0, fmt.Errorf("parse index %s@%s: %w", repository, digest, err)
		}
		for _, child := range index.Manifests {
			if _, err := w.image(ctx, repository, child.Digest.String(), string(child.MediaType)); err != nil {
				return 0, err
			}
		}
		return int64(len(data)), nil
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return 0, fmt.Errorf("parse manifest %s@%s: %w", repository, digest, err)
	}
	for _, blob := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
		w.note(repository, Descriptor{MediaType: string(blob.MediaType), Digest: blob.Digest.String(), Size: blob.Size})
	}
	return int64(len(data)), nil
}

func (w *walker) note(repository string, d Descriptor) {
	if _, ok := w.blobs[d.Digest]; !ok {
		w.blobs[d.Digest] = d
		w.bundle.Repositories[d.Digest] = repository
	}
}

func (w *walker) sorted() []Descriptor {
	blobs := make([]Descriptor, 0, len(w.blobs))
	for _, d := range w.blobs {
		blobs = append(blobs, d)
	}
	sort.Slice(blobs, func(i, j int) bool { return blobs[i].Digest < blobs[j].Digest })
	return blobs
}

// encode returns compact JSON without HTML escaping, so that what is signed is
// what a reader sees.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("encode %T: %w", value, err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func hashOf(data []byte) v1.Hash {
	h, _ := v1.NewHash(Digest(data)) // cannot fail: the digest is our own
	return h
}
