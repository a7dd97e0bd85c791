package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3/manifest/manifestlist"
	"github.com/distribution/distribution/v3/manifest/schema2"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// maxIndexDepth is how deep indexes may hold indexes in an algorithm's image.
const maxIndexDepth = 3

// inspector walks an image or index whose parts are in the registry already.
type inspector struct {
	ctx        context.Context
	storage    *Storage
	repository string

	sizes     map[string]int64 // of every manifest and blob, once
	platforms map[string]bool
	labels    map[string]string // of the first image of a platform
	weights   *constellation.Weights
}

// manifest walks a manifest. child is how an index names it, nil for the one
// that was pushed under the version's tag.
func (i *inspector) manifest(digest string, body []byte, mediaType string, doc *document, child *v1.Descriptor, depth int) error {
	i.sizes[digest] = int64(len(body))
	switch mediaType {
	case v1.MediaTypeImageIndex, manifestlist.MediaTypeManifestList:
		return i.index(doc, depth)
	case v1.MediaTypeImageManifest, schema2.MediaTypeManifest:
		return i.image(body, doc, child)
	}
	return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "an algorithm version is an image manifest or an image index; not %q", shorten(mediaType))
}

func (i *inspector) index(doc *document, depth int) error {
	if depth >= maxIndexDepth {
		return ociErrorf(http.StatusBadRequest, codeDenied, "the index holds indexes more than %d deep", maxIndexDepth)
	}
	for _, child := range doc.Manifests {
		if _, ok := i.sizes[child.Digest.String()]; ok {
			continue
		}
		body, err := i.storage.Manifest(i.ctx, i.repository, child.Digest.String())
		if constellation.KindOf(err) == constellation.KindNotFound {
			return ociErrorf(http.StatusBadRequest, codeManifestBlob, "the index names manifest %s, which is not in %s: push it first", shorten(child.Digest.String()), i.repository)
		}
		if err != nil {
			return err
		}
		var childDoc document
		if err := json.Unmarshal(body, &childDoc); err != nil {
			return fmt.Errorf("parse manifest %s@%s: %w", i.repository, child.Digest, err)
		}
		if err := i.manifest(child.Digest.String(), body, child.MediaType, &childDoc, &child, depth+1); err != nil {
			return err
		}
	}
	if depth == 0 && len(i.platforms) == 0 {
		return ociErrorf(http.StatusBadRequest, codeDenied, "the index has no image of any platform")
	}
	return nil
}

// image takes in an image manifest: what it needs, and for an image of a
// platform that platform and its labels. Beside the images an index may hold
// artifacts (SBOMs, attestations, signatures), whatever platform it says they
// are of; they travel along.
func (i *inspector) image(body []byte, doc *document, child *v1.Descriptor) error {
	if doc.Config == nil {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest has no config")
	}
	i.sizes[doc.Config.Digest.String()] = doc.Config.Size
	for _, layer := range doc.Layers {
		i.sizes[layer.Digest.String()] = layer.Size
		if err := i.present(layer); err != nil {
			return err
		}
	}
	if child != nil && isArtifact(doc, child) {
		return nil
	}
	if !isImageConfig(doc.Config.MediaType) {
		if isWeights(doc, nil) {
			return i.weigh(body)
		}
		return ociErrorf(http.StatusBadRequest, codeDenied, "an algorithm version is a container image; this is an artifact of type %q: push it under another tag than a Git hash, or, if it holds weights, with the annotation constellation.kind=weights", shorten(doc.Config.MediaType))
	}
	config, err := i.config(doc.Config)
	if err != nil {
		return err
	}
	if isWeights(doc, config.Config.Labels) {
		if child != nil {
			return ociErrorf(http.StatusBadRequest, codeDenied, "weights are one image and no index of images: build with --provenance=false, for one platform")
		}
		i.weightPlatforms(config)
		return i.weigh(body)
	}
	if config.OS == "" || config.Architecture == "" || config.OS == "unknown" {
		if child != nil {
			return nil
		}
		return ociErrorf(http.StatusBadRequest, codeDenied, "the image's config names no os and architecture, so no cluster can tell where it runs: build it with both")
	}
	name := platformName(config.Platform)
	if child != nil && child.Platform != nil && child.Platform.OS != "" && child.Platform.Architecture != "" {
		name = platformName(*child.Platform)
	}
	if i.labels == nil {
		i.labels = config.Config.Labels
		if i.labels == nil {
			i.labels = map[string]string{}
		}
	}
	i.platforms[name] = true
	return nil
}

// isArtifact reports whether what an index names is no image to run: buildx
// marks its attestations, other tools give SBOMs and signatures a config or an
// artifact type of their own. (An image's descriptor may have an artifact type
// too: that of its config.)
func isArtifact(doc *document, child *v1.Descriptor) bool {
	return doc.ArtifactType != "" && !isImageConfig(doc.ArtifactType) ||
		child.Annotations["vnd.docker.reference.type"] != "" ||
		child.Platform != nil && child.Platform.OS == "unknown" ||
		!isImageConfig(doc.Config.MediaType)
}

func isImageConfig(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == schema2.MediaTypeImageConfig
}

// present refuses a layer that does not travel with the image: one of a type
// that clients and registries leave out when they copy, and one that is to be
// fetched from elsewhere. Where the satellite runs there may be no elsewhere.
// Distribution looks for the others.
func (i *inspector) present(layer v1.Descriptor) error {
	if strings.Contains(layer.MediaType, ".nondistributable.") || strings.Contains(layer.MediaType, ".foreign.") {
		return ociErrorf(http.StatusBadRequest, codeDenied, "layer %s is of type %s, which registries leave out or refuse when an image is copied: build on a base without such layers", layer.Digest, shorten(layer.MediaType))
	}
	if len(layer.URLs) == 0 {
		return nil
	}
	blob, _, err := i.storage.Blob(i.ctx, i.repository, layer.Digest.String())
	if constellation.KindOf(err) == constellation.KindNotFound {
		return ociErrorf(http.StatusBadRequest, codeManifestBlob, "layer %s is to be fetched from elsewhere and is not in %s: push it too, since a satellite may have no way there", layer.Digest, i.repository)
	}
	if err != nil {
		return err
	}
	return blob.Close()
}

// config reads an image's configuration, which was pushed before.
func (i *inspector) config(descriptor *v1.Descriptor) (*v1.Image, error) {
	blob, size, err := i.storage.Blob(i.ctx, i.repository, descriptor.Digest.String())
	if kind := constellation.KindOf(err); kind == constellation.KindNotFound || kind == constellation.KindInvalid {
		return nil, ociErrorf(http.StatusBadRequest, codeManifestBlob, "the manifest names config %s, which is not in %s: push it first", shorten(descriptor.Digest.String()), i.repository)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = blob.Close() }() // only read
	if size > maxManifest {
		return nil, ociErrorf(http.StatusBadRequest, codeDenied, "the image's config has more than %d MiB", maxManifest>>20)
	}
	data, err := io.ReadAll(blob)
	if err != nil {
		return nil, fmt.Errorf("read config %s@%s: %w", i.repository, descriptor.Digest, err)
	}
	var config v1.Image
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, ociErrorf(http.StatusBadRequest, codeDenied, "the image's config is not that of a container image")
	}
	return &config, nil
}

func platformName(p v1.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}

func (i *inspector) size() int64 {
	var total int64
	for _, size := range i.sizes {
		total += size
	}
	return total
}

func (i *inspector) sortedPlatforms() []string {
	var names []string
	for name := range i.platforms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
