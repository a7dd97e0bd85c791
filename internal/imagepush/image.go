package imagepush

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/systemimage"
)

// image is one that is in a folder, each of its parts a file.
type image struct {
	dir        string
	descriptor v1.Descriptor
}

// write makes the image in dir.
func write(ctx context.Context, dir string, o Options) (*image, error) {
	program, err := systemimage.Open(o.Executable, o.CABundle)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	i := &image{dir: dir}
	var layers []systemimage.Layer
	for _, part := range systemimage.Parts {
		layer, err := i.writeLayer(ctx, program, part)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	config, err := i.writeDocument(v1.MediaTypeImageConfig, systemimage.Config(layers))
	if err != nil {
		return nil, err
	}
	i.descriptor, err = i.writeDocument(v1.MediaTypeImageManifest, systemimage.Manifest(config, layers))
	return i, err
}

func (i *image) writeLayer(ctx context.Context, program *systemimage.Program, part systemimage.Part) (systemimage.Layer, error) {
	file, err := os.CreateTemp(i.dir, "layer-*")
	if err != nil {
		return systemimage.Layer{}, problem(err, "write a layer of the image")
	}
	defer file.Close() //nolint:errcheck // closed below where it counts
	layer, err := program.WriteLayer(ctx, file, part)
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(file.Name(), i.path(layer.Descriptor.Digest.String()))
	}
	if err != nil {
		return systemimage.Layer{}, problem(err, "write a layer of the image")
	}
	return layer, nil
}

func (i *image) writeDocument(mediaType string, value any) (v1.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, problem(err, "encode a part of the image")
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := os.WriteFile(i.path(d.Digest.String()), data, 0o600); err != nil {
		return v1.Descriptor{}, problem(err, "write a part of the image")
	}
	return d, nil
}

func (i *image) path(dgst string) string {
	return filepath.Join(i.dir, digest.Digest(dgst).Encoded())
}

// Open is part of transfer.Source.
func (i *image) Open(dgst string) (store.ReaderAt, error) { return os.Open(i.path(dgst)) }

// Document is part of transfer.Source.
func (i *image) Document(dgst string) ([]byte, error) {
	data, err := os.ReadFile(i.path(dgst))
	if err == nil && digest.FromBytes(data) != digest.Digest(dgst) {
		err = errChanged
	}
	if err != nil {
		return nil, problem(err, "read a part of the image")
	}
	return data, nil
}

// Verify is part of transfer.Source.
func (i *image) Verify(ctx context.Context, dgst string) error {
	file, err := os.Open(i.path(dgst))
	if err != nil {
		return problem(err, "read a part of the image")
	}
	defer file.Close() //nolint:errcheck // only read
	sum := digest.Digest(dgst).Verifier()
	if _, err := io.Copy(sum, file); err != nil {
		return problem(err, "read a part of the image")
	}
	if !sum.Verified() {
		return problem(errChanged, "read a part of the image")
	}
	return ctx.Err()
}
