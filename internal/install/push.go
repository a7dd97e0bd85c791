package install

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// PushResult is what a push did.
type PushResult struct {
	Registry string    `json:"registry"`
	Images   []Mapping `json:"images"`
	Pushed   int       `json:"pushed"` // images that were not there yet
}

// Push verifies the launch and puts its images into the configured registry,
// digests unchanged.
func Push(ctx context.Context, f Folder, progress *Progress) (*PushResult, error) {
	s, err := open(ctx, f, "push", progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	result, err := s.push(ctx)
	return result, interrupted(ctx, err, "the push")
}

func (s *session) push(ctx context.Context) (*PushResult, error) {
	result := &PushResult{Registry: s.config.Stage.ContainerRegistry}
	var todo []bundle.Image
	for _, image := range s.launch.plan.Images() {
		m := s.images[image.Digest]
		result.Images = append(result.Images, m)
		there, err := s.registry.has(ctx, m.Tag, image.Digest)
		if err != nil {
			return nil, err
		}
		if !there {
			todo = append(todo, image)
		}
	}
	if len(todo) > 0 {
		if err := s.upload(ctx, todo); err != nil {
			return nil, err
		}
	}
	result.Pushed = len(todo)
	for _, image := range todo {
		m := s.images[image.Digest]
		name, _, _ := strings.Cut(m.Source, "@")
		repository, digest, _ := strings.Cut(m.Destination, "@")
		s.progress.Line("pushed %s → %s@sha256:%s…", name, repository, short(digest))
	}
	if there := len(result.Images) - len(todo); there > 0 {
		s.progress.Line("%s in %s already", images(there), result.Registry)
	}
	file := s.launch.folder.Path("lock", notInFiles.ReplaceAllString(result.Registry, "_")+".json")
	if err := writeJSON(file, result.Images); err != nil {
		return nil, wrap(err, CodeFailed, "write the lock file")
	}
	return result, nil
}

// images counts images in words.
func images(n int) string {
	if n == 1 {
		return "1 image is"
	}
	return fmt.Sprintf("%d images are", n)
}

var notInFiles = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// has asks for a tag's digest with one HEAD.
func (r *registry) has(ctx context.Context, tag, digest string) (bool, error) {
	ref, err := name.NewTag(tag, r.nameOptions()...)
	if err != nil {
		return false, wrap(err, CodeUsage, "stage.container_registry")
	}
	head, err := remote.Head(ref, r.options(ctx, r.transport)...)
	var refusal *transport.Error
	switch {
	case err == nil:
		return head.Digest.String() == digest, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &refusal) && (refusal.StatusCode == http.StatusNotFound || refusal.StatusCode == http.StatusForbidden):
		return false, nil // some registries forbid what they do not have
	}
	return false, r.explain(err, "look for "+tag)
}

// upload pushes images, each blob once: they share layers, and one pusher.
func (s *session) upload(ctx context.Context, todo []bundle.Image) error {
	path, err := layout.FromPath(s.launch.folder.Path("bundle"))
	if err != nil {
		return wrap(err, CodeIntegrity, "read the bundle")
	}
	t := s.progress.transfer("push", len(todo), s.bytesOf(todo))
	defer t.end()
	pusher, err := remote.NewPusher(s.registry.options(ctx, counting{s.registry.transport, t})...)
	if err != nil {
		return wrap(err, CodeFailed, "push")
	}
	var failed []error
	for _, image := range todo {
		m := s.images[image.Digest]
		ref, err := name.NewTag(m.Tag, s.registry.nameOptions()...)
		if err != nil {
			return wrap(err, CodeUsage, "stage.container_registry")
		}
		content, err := read(path, image)
		if err == nil {
			err = pusher.Push(ctx, ref, content)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed = append(failed, s.registry.explain(err, "push "+m.Tag))
		default:
			t.done()
		}
	}
	if len(failed) > 0 {
		return wrap(failed[0], codeOf(failed[0]), "%d of %d images could not be pushed; push again goes on; the first", len(failed), len(todo))
	}
	return nil
}

// read opens an image or index of the layout, its bytes as they are.
func read(path layout.Path, image bundle.Image) (remote.Taggable, error) {
	hash, err := v1.NewHash(image.Digest)
	if err != nil {
		return nil, err
	}
	root, err := path.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := root.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		return nil, errorf(CodeIntegrity, "index.json does not name the bundle's index; run get again")
	}
	index, err := root.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		return nil, err
	}
	if types.MediaType(image.MediaType).IsIndex() {
		return index.ImageIndex(hash)
	}
	return index.Image(hash)
}

// bytesOf sums the blobs that images reach, each once.
func (s *session) bytesOf(images []bundle.Image) int64 {
	path, err := layout.FromPath(s.launch.folder.Path("bundle"))
	if err != nil {
		return 0
	}
	sizes := map[string]int64{}
	for _, image := range images {
		if content, err := read(path, image); err == nil {
			collect(content, sizes)
		}
	}
	total := int64(0)
	for _, size := range sizes {
		total += size
	}
	return total
}

func collect(content any, sizes map[string]int64) {
	switch c := content.(type) {
	case v1.Image:
		if manifest, err := c.Manifest(); err == nil {
			for _, d := range slices.Concat([]v1.Descriptor{manifest.Config}, manifest.Layers) {
				sizes[d.Digest.String()] = d.Size
			}
		}
	case v1.ImageIndex:
		if children, err := partial.Manifests(c); err == nil {
			for _, child := range children {
				collect(child, sizes)
			}
		}
	}
}
