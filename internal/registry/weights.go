package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/weights"
)

// maxUnpackRatio is how many times its size an archive of weights may unpack
// to, with minUnpack for small ones: more is no model, but a bomb.
const (
	maxUnpackRatio = 100
	minUnpack      = 64 << 20
)

// isWeights reports whether a manifest that is pushed under a version's tag is of
// weights; labels are those of its image, nil where it is none.
func isWeights(doc *document, labels map[string]string) bool {
	if doc.Annotations[weights.KindLabel] == weights.KindValue || labels[weights.KindLabel] == weights.KindValue {
		return true
	}
	// What has a subject belongs to it: an SBOM, a signature.
	return doc.Subject == nil && weights.IsArtifact(doc.Config.MediaType, doc.ArtifactType)
}

// weigh reads weights as the satellite will: what it would refuse there is
// refused here, where its maker sees it.
func (i *inspector) weigh(body []byte) error {
	artifact, err := weights.Parse(body)
	if err != nil {
		return refuseWeights(err)
	}
	found := constellation.Weights{Form: artifact.Form}
	budget := weights.Budget{Files: weights.MaxFiles}
	for _, layer := range artifact.Layers {
		budget.Bytes = layer.Size
		if layer.Path == "" {
			budget.Bytes = max(minUnpack, maxUnpackRatio*layer.Size)
		}
		room := budget.Bytes
		if err := i.weighLayer(layer, &budget); err != nil {
			return err
		}
		found.UnpackedSize += room - budget.Bytes
	}
	found.Files = weights.MaxFiles - budget.Files
	i.weights = &found
	return nil
}

func (i *inspector) weighLayer(layer weights.Layer, budget *weights.Budget) error {
	if layer.Path != "" {
		if err := budget.Take(layer.Size); err != nil {
			return refuseWeights(err)
		}
		return nil
	}
	blob, size, err := i.storage.Blob(i.ctx, i.repository, layer.Digest)
	if kind := constellation.KindOf(err); kind == constellation.KindNotFound || kind == constellation.KindInvalid {
		return ociErrorf(http.StatusBadRequest, codeManifestBlob, "the manifest names layer %s, which is not in %s: push it first", layer.Digest, i.repository)
	}
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // only read
	if size != layer.Size {
		return ociErrorf(http.StatusBadRequest, codeManifestInvalid, "the manifest says that %s has %d bytes; it has %d", layer.Digest, layer.Size, size)
	}
	err = weights.Archive(blob, budget, func(weights.Entry, io.Reader) error { return i.ctx.Err() })
	switch {
	case i.ctx.Err() != nil:
		return i.ctx.Err()
	case errors.Is(err, weights.ErrTooManyBytes):
		return refuseWeights(fmt.Errorf("layer %s: %w: %d times its size at most", layer.Digest, err, maxUnpackRatio))
	case err != nil:
		return refuseWeights(fmt.Errorf("layer %s: %w", layer.Digest, err))
	}
	return nil
}

func refuseWeights(err error) error {
	return ociErrorf(http.StatusBadRequest, codeDenied, "%s", err)
}

// weightPlatforms are the platforms that an image of weights says it is for: a
// node mounts it only where it is of its own.
func (i *inspector) weightPlatforms(config *v1.Image) {
	if config != nil && config.OS != "" && config.Architecture != "" && config.OS != "unknown" {
		i.platforms[platformName(config.Platform)] = true
	}
}
