package transfer

import (
	"bytes"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// Mapping is one image's way into the operator's registry.
type Mapping struct {
	Source      string `json:"source"`      // repository@digest in the mothership's registry
	Destination string `json:"destination"` // repository@digest that pods run
	Tag         string `json:"tag"`         // repository:tag that it is pushed under
}

// Image is one image of the plan as it is pushed.
type Image struct {
	bundle.Image
	Mapping
	RepositoryPath string // as the registry's API names it
	TagName        string
	manifests      []bundle.Descriptor // children before those that name them; the last is the image
	blobs          []bundle.Descriptor // each once
	There          bool                // under its tag already
}

// targets returns which blob goes into which repository: first each blob into
// one, then into the others, which mount it from there.
func targets(all, todo []*Image) (first, again []target) {
	has := map[string][]string{} // by digest: repositories that have it
	for _, i := range all {
		if i.There {
			for _, blob := range i.blobs {
				has[blob.Digest] = append(has[blob.Digest], i.RepositoryPath)
			}
		}
	}
	planned := map[string]bool{}
	owner := map[string]string{}
	for _, i := range todo {
		for _, blob := range i.blobs {
			t := target{blob: blob, repository: i.RepositoryPath}
			if planned[key(t)] {
				continue
			}
			planned[key(t)] = true
			for _, repository := range has[blob.Digest] {
				if repository != i.RepositoryPath && !slices.Contains(t.mounts, repository) {
					t.mounts = append(t.mounts, repository)
				}
			}
			if from, ok := owner[blob.Digest]; ok {
				t.mounts = append(t.mounts, from)
				again = append(again, t)
				continue
			}
			owner[blob.Digest] = i.RepositoryPath
			first = append(first, t)
		}
	}
	return first, again
}

// read finds every manifest and blob that an image reaches.
func (i *Image) read(from Source) error {
	return i.walk(from, bundle.Descriptor{MediaType: i.MediaType, Digest: i.Digest}, map[string]bool{})
}

func (i *Image) walk(from Source, manifest bundle.Descriptor, seen map[string]bool) error {
	if seen[manifest.Digest] {
		return nil
	}
	seen[manifest.Digest] = true
	data, err := from.Document(manifest.Digest)
	if err != nil {
		return err
	}
	if types.MediaType(manifest.MediaType).IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(data))
		if err != nil {
			return fault.Wrap(err, fault.CodeIntegrity, "read the index %s", manifest.Digest)
		}
		for _, child := range index.Manifests {
			if err := i.walk(from, bundle.Descriptor{MediaType: string(child.MediaType), Digest: child.Digest.String()}, seen); err != nil {
				return err
			}
		}
	} else {
		parsed, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil {
			return fault.Wrap(err, fault.CodeIntegrity, "read the manifest %s", manifest.Digest)
		}
		for _, blob := range slices.Concat([]v1.Descriptor{parsed.Config}, parsed.Layers) {
			if !seen[blob.Digest.String()] {
				seen[blob.Digest.String()] = true
				i.blobs = append(i.blobs, bundle.Descriptor{Digest: blob.Digest.String(), Size: blob.Size})
			}
		}
	}
	manifest.Size = int64(len(data))
	i.manifests = append(i.manifests, manifest)
	return nil
}
