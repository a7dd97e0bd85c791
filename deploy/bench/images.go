package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fileLayer is a layer of random bytes, which nothing compresses, in a file.
type fileLayer struct {
	path   string
	digest v1.Hash
	size   int64
}

func newFileLayer(dir string, seed byte, size int64) (*fileLayer, error) {
	l := &fileLayer{path: filepath.Join(dir, fmt.Sprintf("layer-%d", seed)), size: size}
	file, err := os.Create(l.path)
	if err != nil {
		return nil, fmt.Errorf("make a layer: %w", err)
	}
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(file, sum), rand.NewChaCha8([32]byte{seed}), size)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("make a layer: %w", err)
	}
	l.digest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	return l, nil
}

// Digest implements v1.Layer.
func (l *fileLayer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer.
func (l *fileLayer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Compressed implements v1.Layer.
func (l *fileLayer) Compressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Uncompressed implements v1.Layer.
func (l *fileLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Size implements v1.Layer.
func (l *fileLayer) Size() (int64, error) { return l.size, nil }

// MediaType implements v1.Layer.
func (l *fileLayer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }

// imageOf makes an image of layers.
func imageOf(layers ...v1.Layer) (v1.Image, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, fmt.Errorf("make an image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("make an image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	return mutate.ConfigFile(image, config)
}

// gitHash is the version that number stands for.
func gitHash(number int) string { return strings.Repeat(fmt.Sprintf("%02x", number), 20) }

// publish pushes an image as a version of the algorithm NAME.
func (b *bench) publish(ctx context.Context, algorithm string, number int, image v1.Image) (string, error) {
	return b.publishAs(ctx, algorithm, gitHash(number), image)
}

// publishAs pushes an image as the version HASH of the algorithm NAME.
func (b *bench) publishAs(ctx context.Context, algorithm, hash string, image v1.Image) (string, error) {
	reference := fmt.Sprintf("%s/%s/%s:%s", b.mothership.Host, account, algorithm, hash)
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("publish: %w", err)
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: account, Password: b.key})); err != nil {
		return "", fmt.Errorf("publish %s: %w", reference, err)
	}
	return account + "/" + algorithm + "/" + hash, nil
}
