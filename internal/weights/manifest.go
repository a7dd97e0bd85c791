package weights

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// KindLabel says in an image's labels, or in a manifest's annotations, what is
// pushed: KindValue for weights.
const (
	KindLabel = "constellation.kind"
	KindValue = "weights"
)

// Annotations of a layer. The title is that of the OCI image specification; the
// file path is that of the CNCF's model format; the last one is what oras
// gives to a folder that it packed.
const (
	annotationTitle    = "org.opencontainers.image.title"
	annotationFilePath = "org.cncf.model.filepath"
	annotationUnpack   = "io.deis.oras.content.unpack"
)

// artifactTypes are the types of artifacts, or of their configs, that are taken
// for weights: what oras gives an artifact of no type, and those of models.
var artifactTypes = []string{
	"application/vnd.oci.empty.v1+json",
	"application/vnd.unknown.config.v1+json",
	"application/vnd.unknown.artifact.v1",
	"application/vnd.constellation.weights.v1",
	"application/vnd.constellation.weights.v1+json",
	"application/vnd.cncf.model.manifest.v1+json",
	"application/vnd.cncf.model.config.v1+json",
}

var imageConfigs = []string{
	"application/vnd.oci.image.config.v1+json",
	"application/vnd.docker.container.image.v1+json",
}

// MaxLayers is how many layers weights have at most.
const MaxLayers = 10_000

// Layer is one layer of weights.
type Layer struct {
	Digest string
	Size   int64
	// Path is where the file is that the layer's content is; "" for an archive.
	Path string
}

// Artifact is what a manifest of weights says.
type Artifact struct {
	Form   constellation.WeightsForm
	Layers []Layer
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// IsArtifact reports whether an artifact with a config of that media type, and
// that artifact type ("" for none), is taken for weights though nothing marks
// it so. An image is weights only where KindLabel says it.
func IsArtifact(configType, artifactType string) bool {
	if artifactType != "" && !slices.Contains(artifactTypes, artifactType) {
		return false
	}
	return slices.Contains(artifactTypes, configType) || artifactType != "" && !slices.Contains(imageConfigs, configType)
}

// Parse reads the manifest of weights and holds it to the form; the error says
// in one sentence what is wrong with it.
func Parse(manifest []byte) (*Artifact, error) {
	var doc struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return nil, fmt.Errorf("the manifest of the weights is not one of an image or artifact: %w", err)
	}
	if len(doc.Layers) == 0 || len(doc.Layers) > MaxLayers {
		return nil, fmt.Errorf("weights have 1 to %d layers; these have %d", MaxLayers, len(doc.Layers))
	}
	a := &Artifact{Form: constellation.WeightsImage}
	if !slices.Contains(imageConfigs, doc.Config.MediaType) {
		a.Form = constellation.WeightsFiles
	}
	seen := map[string]bool{}
	for _, l := range doc.Layers {
		path, err := l.path()
		if err != nil {
			return nil, err
		}
		if path != "" {
			a.Form = constellation.WeightsFiles
			if seen[path] {
				return nil, fmt.Errorf("two layers are the file %s", quote(path))
			}
			seen[path] = true
		}
		a.Layers = append(a.Layers, Layer{Digest: l.Digest, Size: l.Size, Path: path})
	}
	return a, nil
}

// path returns where a layer's file is, "" for an archive. oras gives a plain
// file the media type of an archive, so it is the title that decides.
func (l descriptor) path() (string, error) {
	title := l.Annotations[annotationTitle]
	if title == "" {
		title = l.Annotations[annotationFilePath]
	}
	if title != "" && l.Annotations[annotationUnpack] != "true" && !strings.HasSuffix(l.MediaType, ".weight.v1.tar") {
		if err := checkPath(title); err != nil {
			return "", fmt.Errorf("layer %s has a title that is no path of a file: %w", l.Digest, err)
		}
		return title, nil
	}
	if !isArchive(l.MediaType) {
		return "", fmt.Errorf("layer %s of type %s is no archive and has no title that says which file it is: push files with 'oras push', or an image", l.Digest, quote(l.MediaType))
	}
	return "", nil
}

func isArchive(mediaType string) bool {
	for _, suffix := range []string{".tar", ".tar+gzip", ".tar+zstd", ".tar.gzip", ".tar.zstd", ".tar.gz"} {
		if strings.HasSuffix(mediaType, suffix) {
			return true
		}
	}
	return false
}
