package registry

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/systemimage"
)

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
func (s *Storage) packSystem(ctx context.Context, key string, program *systemimage.Program) (*v1.Descriptor, error) {
	var layers []systemimage.Layer
	for _, part := range systemimage.Parts {
		layer, err := s.writeLayer(ctx, constellation.SystemRepository, program, part)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	config, err := json.Marshal(systemimage.Config(layers))
	if err != nil {
		return nil, fmt.Errorf("encode the system image's config: %w", err)
	}
	configDescriptor, err := s.putBlob(ctx, constellation.SystemRepository, v1.MediaTypeImageConfig, config)
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(systemimage.Manifest(configDescriptor, layers))
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

// writeLayer streams a layer of the program into a blob of repository.
func (s *Storage) writeLayer(ctx context.Context, repository string, program *systemimage.Program, part systemimage.Part) (systemimage.Layer, error) {
	blob, err := s.createBlob(ctx, repository)
	if err != nil {
		return systemimage.Layer{}, err
	}
	defer blob.Close()
	layer, err := program.WriteLayer(ctx, blob, part)
	if err != nil {
		return systemimage.Layer{}, err
	}
	return layer, blob.Commit(ctx, layer.Descriptor)
}

// keepSystem tags the image and notes it, so that no garbage collection removes it. A
// KindConflict error says that parts of it went before that.
func (s *Storage) keepSystem(ctx context.Context, config SystemImageConfig, key string, descriptor v1.Descriptor) error {
	tag := systemimage.Tag(config.Version)
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
