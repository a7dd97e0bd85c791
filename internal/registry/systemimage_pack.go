package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// systemFormat is part of the cache's key: it grows when the image is made
// in another way.
const systemFormat = 1

// systemKey names the image by all that goes into it, and rewinds executable.
func systemKey(executable io.ReadSeeker, caBundle []byte) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %s %s %x ", systemFormat, runtime.GOARCH, runtime.Version(), sha256.Sum256(caBundle))
	if _, err := io.Copy(sum, executable); err != nil {
		return "", fmt.Errorf("read the mothership's binary: %w", err)
	}
	if _, err := executable.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind the mothership's binary: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func systemCachePath(key string) string { return ownRoot + "/system/" + key }

// cachedSystem returns nil when the image was not made before, or is not whole.
func (s *Storage) cachedSystem(ctx context.Context, key string) (*v1.Descriptor, error) {
	data, err := s.driver.GetContent(ctx, systemCachePath(key))
	if isPathNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the system image's cache: %w", err)
	}
	var descriptor v1.Descriptor
	if err := json.Unmarshal(data, &descriptor); err != nil {
		return nil, nil // whatever it is, the image is made again
	}
	manifest, err := s.Manifest(ctx, constellation.SystemRepository, descriptor.Digest.String())
	if err != nil {
		if constellation.KindOf(err) == constellation.KindNotFound {
			return nil, nil
		}
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(manifest, &doc); err != nil {
		return nil, nil
	}
	for _, layer := range doc.Layers {
		blob, size, err := s.Blob(ctx, constellation.SystemRepository, layer.Digest.String())
		if err != nil || size != layer.Size {
			return nil, nil
		}
		_ = blob.Close() // only looked at
	}
	return &descriptor, nil
}

// packSystem makes the image. What refers to a thing is written after it, so
// stopping anywhere leaves nothing half made to be found.
func (s *Storage) packSystem(ctx context.Context, key string, executable *os.File, caBundle []byte) (*v1.Descriptor, error) {
	info, err := executable.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the mothership's binary: %w", err)
	}
	base, err := s.writeLayer(ctx, constellation.SystemRepository, baseFiles(caBundle))
	if err != nil {
		return nil, err
	}
	binary, err := s.writeLayer(ctx, constellation.SystemRepository, binaryFiles(contextReader{ctx, executable}, info.Size()))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(systemConfig(base, binary))
	if err != nil {
		return nil, fmt.Errorf("encode the system image's config: %w", err)
	}
	configDescriptor, err := s.putBlob(ctx, constellation.SystemRepository, v1.MediaTypeImageConfig, config)
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: configDescriptor, Layers: []v1.Descriptor{base.descriptor, binary.descriptor},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the system image's manifest: %w", err)
	}
	descriptor, err := s.putManifest(ctx, constellation.SystemRepository, v1.MediaTypeImageManifest, manifest)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(descriptor)
	if err != nil {
		return nil, fmt.Errorf("encode the system image's descriptor: %w", err)
	}
	if err := s.driver.PutContent(ctx, systemCachePath(key), data); err != nil {
		return nil, fmt.Errorf("write the system image's cache: %w", err)
	}
	return &descriptor, nil
}

// systemConfig has no entrypoint: a pod names the whole command, and a
// container started by hand may be the mothership or algo-install.
func systemConfig(layers ...layer) v1.Image {
	image := v1.Image{
		Created:  &epoch,
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: v1.ImageConfig{
			User:       fmt.Sprintf("%d:%d", nonroot, nonroot),
			Env:        []string{"PATH=/usr/bin", "HOME=/home/algo", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			Cmd:        []string{"mothership", "help"},
			WorkingDir: "/home/algo",
			Labels:     map[string]string{"org.opencontainers.image.title": "Constellation system image", "org.opencontainers.image.licenses": "Apache-2.0"},
		},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{}},
	}
	for _, l := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.diffID)
		image.History = append(image.History, v1.History{Created: &epoch, CreatedBy: "mothership serve"})
	}
	return image
}

// keepSystem tags the image and notes it, so that no garbage collection removes it. A
// KindConflict error says that parts of it went before that.
func (s *Storage) keepSystem(ctx context.Context, config SystemImageConfig, key string, descriptor v1.Descriptor) error {
	tag := versionTag(config.Version)
	if config.Control == nil {
		return s.tag(ctx, constellation.SystemRepository, tag, descriptor)
	}
	m, err := s.StoredManifest(ctx, constellation.SystemRepository, descriptor.Digest.String())
	if err != nil {
		return err
	}
	for _, part := range m.Parts {
		if err := config.Control.NoteBlob(ctx, constellation.SystemRepository, pushedBlob{s, constellation.SystemRepository, part}); err != nil {
			return err
		}
	}
	return config.Control.StoreManifest(ctx, tagged(m, tag), func(ctx context.Context) error {
		whole, err := s.cachedSystem(ctx, key)
		if err == nil && whole == nil {
			err = constellation.Errorf(constellation.KindConflict, "a part of the system image was removed just now; it is made again")
		}
		if err != nil {
			return err
		}
		return s.tag(ctx, constellation.SystemRepository, tag, descriptor)
	})
}

// Keep keeps the system image from being removed, while there is one.
func (i *SystemImage) Keep(ctx context.Context, service *control.Service) error {
	i.mu.Lock()
	digest := i.system.Image.Digest
	i.mu.Unlock()
	if digest == "" {
		return nil
	}
	return service.TouchManifest(ctx, constellation.SystemRepository, digest)
}

// forgetSystem removes what says that an image was made which is removed.
func (s *Storage) forgetSystem(ctx context.Context, dgst string) error {
	files, err := s.list(ctx, ownRoot+"/system")
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := s.driver.GetContent(ctx, file)
		if isPathNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the system image's cache: %w", err)
		}
		var descriptor v1.Descriptor
		if json.Unmarshal(data, &descriptor) == nil && descriptor.Digest.String() == dgst {
			if err := s.remove(ctx, file); err != nil {
				return err
			}
		}
	}
	return nil
}
