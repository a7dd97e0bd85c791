package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"

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
}

func (i *inspector) manifest(digest string, size int64, mediaType string, doc *document, platform *v1.Platform, depth int) error {
	i.sizes[digest] = size
	switch mediaType {
	case v1.MediaTypeImageIndex, manifestlist.MediaTypeManifestList:
		return i.index(doc, depth)
	case v1.MediaTypeImageManifest, schema2.MediaTypeManifest:
		return i.image(doc, platform)
	}
	return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "an algorithm version is an image manifest or an image index; not %q", shorten(mediaType))
}

func (i *inspector) index(doc *document, depth int) error {
	if depth >= maxIndexDepth {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the index holds indexes more than %d deep", maxIndexDepth)
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
		if err := i.manifest(child.Digest.String(), int64(len(body)), child.MediaType, &childDoc, child.Platform, depth+1); err != nil {
			return err
		}
	}
	if depth == 0 && len(i.platforms) == 0 {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the index has no image of any platform")
	}
	return nil
}

func (i *inspector) image(doc *document, platform *v1.Platform) error {
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
	if platform != nil && platform.OS == "unknown" {
		return nil // an attestation that buildx put beside the images
	}
	if doc.Config.MediaType != v1.MediaTypeImageConfig && doc.Config.MediaType != schema2.MediaTypeImageConfig {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "an algorithm version is a container image; this is an artifact of type %q: push it under another tag than a Git hash", shorten(doc.Config.MediaType))
	}
	config, err := i.config(doc.Config)
	if err != nil {
		return err
	}
	name := platformName(config.Platform)
	if platform != nil && platform.OS != "" {
		name = platformName(*platform)
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

// present refuses a layer that is to be fetched from elsewhere: where the
// satellite runs there may be no elsewhere. Distribution looks for the others.
func (i *inspector) present(layer v1.Descriptor) error {
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
		return nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the image's config has more than %d MiB", maxManifest>>20)
	}
	data, err := io.ReadAll(blob)
	if err != nil {
		return nil, fmt.Errorf("read config %s@%s: %w", i.repository, descriptor.Digest, err)
	}
	var config v1.Image
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the image's config is not that of a container image")
	}
	if config.OS == "" || config.Architecture == "" {
		return nil, ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the image's config names no os and architecture, so no cluster can tell where it runs")
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
