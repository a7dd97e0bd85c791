package importer

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/foreign"
	"github.com/constellation-serving/constellation/internal/retry"
)

// Bounds of an image.
const (
	maxDepth     = 3
	maxManifests = 1000
	maxParts     = 20000
	maxBodies    = 64 << 20 // of all manifests
	maxSubjects  = 50       // of which it is asked what belongs to them
	maxBlob      = 1 << 50
)

// Media types of an image's configuration.
const dockerConfig = "application/vnd.docker.container.image.v1+json"

// planner finds what an image needs.
type planner struct {
	registry   *foreign.Registry
	repository string

	parts     []constellation.ImportPart
	seen      map[string]bool
	manifests int
	bodies    int
	subjects  []string // the image and those of its index, to which something may belong
	platforms []string // of images
	images    int
}

// plan finds what an image needs, and what belongs to it, and returns its digest. A
// tag that was resolved before is not resolved again.
func (p *planner) plan(ctx context.Context, i *constellation.Import) (digest string, err error) {
	reference := i.Image.Reference()
	if i.Digest != "" {
		reference = i.Digest
	}
	root, err := p.registry.Manifest(ctx, p.repository, reference)
	if err != nil {
		return "", err
	}
	p.seen[root.Digest] = true
	if err := p.manifest(ctx, root, 0, false); err != nil {
		return "", err
	}
	if err := p.checkPlatforms(root); err != nil {
		return "", err
	}
	if err := p.referrers(ctx); err != nil {
		return "", err
	}
	p.add(constellation.ImportPart{Digest: root.Digest, Size: int64(len(root.Body)), Manifest: true, MediaType: root.MediaType, Body: root.Body})
	return root.Digest, p.bounded()
}

func (p *planner) add(part constellation.ImportPart) {
	part.Position = len(p.parts)
	p.parts = append(p.parts, part)
}

func permanent(kind constellation.Kind, format string, args ...any) error {
	return retry.Permanent(constellation.Errorf(kind, format, args...))
}

func (p *planner) bounded() error {
	if p.manifests > maxManifests || len(p.parts) > maxParts || p.bodies > maxBodies {
		return permanent(constellation.KindTooLarge, "the image has more than %d manifests, %d layers or %d MiB of manifests, which is more than is imported", maxManifests, maxParts, maxBodies>>20)
	}
	return nil
}

// manifest adds what a manifest names, and not the manifest itself. belongs is true of
// what belongs to the image, such as a signature.
func (p *planner) manifest(ctx context.Context, m *foreign.Manifest, depth int, belongs bool) error {
	p.manifests++
	p.bodies += len(m.Body)
	if err := p.bounded(); err != nil {
		return err
	}
	d, err := m.Document()
	if err != nil {
		return err
	}
	if len(p.subjects) < maxSubjects {
		p.subjects = append(p.subjects, m.Digest)
	}
	if m.IsIndex() {
		return p.index(ctx, d, depth, belongs)
	}
	if d.Config == nil {
		return permanent(constellation.KindInvalid, "manifest %s has no config", m.Digest)
	}
	for _, blob := range append([]v1.Descriptor{*d.Config}, d.Layers...) {
		if err := p.blob(blob); err != nil {
			return err
		}
	}
	if belongs || d.ArtifactType != "" && !imageConfig(d.ArtifactType) || !imageConfig(d.Config.MediaType) {
		return nil
	}
	return p.platform(ctx, d.Config)
}

func (p *planner) index(ctx context.Context, d *foreign.Document, depth int, belongs bool) error {
	if depth >= maxDepth {
		return permanent(constellation.KindInvalid, "the index holds indexes more than %d deep", maxDepth)
	}
	for _, child := range d.Manifests {
		if err := p.child(ctx, child, depth+1, belongs, ""); err != nil {
			return err
		}
	}
	return nil
}

// child adds a manifest that is named by its descriptor, after what it names itself.
func (p *planner) child(ctx context.Context, child v1.Descriptor, depth int, belongs bool, tag string) error {
	digest := child.Digest.String()
	if !validDigest(digest) {
		return permanent(constellation.KindInvalid, "the image names a manifest by %q, which is no sha256 digest", clip(digest))
	}
	if p.seen[digest] {
		return nil
	}
	p.seen[digest] = true
	m, err := p.registry.Manifest(ctx, p.repository, digest)
	if err != nil {
		return err
	}
	attestation := child.Annotations["vnd.docker.reference.type"] != "" || child.Platform != nil && child.Platform.OS == "unknown"
	if err := p.manifest(ctx, m, depth, belongs || attestation); err != nil {
		return err
	}
	p.add(constellation.ImportPart{Digest: m.Digest, Size: int64(len(m.Body)), Manifest: true, MediaType: m.MediaType, Body: m.Body, Tag: tag})
	return nil
}

// blob adds a blob, unless it cannot travel.
func (p *planner) blob(d v1.Descriptor) error {
	digest := d.Digest.String()
	switch {
	case !validDigest(digest):
		return permanent(constellation.KindInvalid, "the image names a blob by %q, which is no sha256 digest", clip(digest))
	case d.Size < 0 || d.Size > maxBlob:
		return permanent(constellation.KindInvalid, "the manifest says that blob %s has %d bytes", digest, d.Size)
	case strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign."):
		return permanent(constellation.KindInvalid, "layer %s is of type %s, which registries leave out when an image is copied, so that the image would not run elsewhere: build on a base without such layers", digest, clip(d.MediaType))
	case p.seen[digest]:
		return nil
	}
	p.seen[digest] = true
	p.add(constellation.ImportPart{Digest: digest, Size: d.Size})
	return p.bounded()
}

// platform notes where an image runs, by its configuration.
func (p *planner) platform(ctx context.Context, config *v1.Descriptor) error {
	p.images++
	if config.Size > foreign.MaxManifest {
		return permanent(constellation.KindTooLarge, "the image's config has more than %d MiB", foreign.MaxManifest>>20)
	}
	body, err := p.registry.Blob(ctx, p.repository, config.Digest.String(), 0)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(body, foreign.MaxManifest))
	if err != nil {
		return err
	}
	var image v1.Image
	if err := json.Unmarshal(data, &image); err != nil {
		return permanent(constellation.KindInvalid, "the image's config is not that of a container image")
	}
	switch {
	case image.Config.Labels["constellation.kind"] == "weights":
		p.platforms = append(p.platforms, "linux")
	case image.OS != "" && image.Architecture != "" && image.OS != "unknown":
		p.platforms = append(p.platforms, image.OS+"/"+image.Architecture)
	}
	return nil
}

// checkPlatforms refuses an image that no cluster's Linux node runs, before its layers
// are fetched.
func (p *planner) checkPlatforms(root *foreign.Manifest) error {
	switch {
	case p.images == 0 && !root.IsIndex():
		return nil // an artifact, such as weights: what it holds is judged when it is here
	case slices.ContainsFunc(p.platforms, func(name string) bool { return strings.HasPrefix(name, "linux") }):
		return nil
	case len(p.platforms) == 0 && root.IsIndex():
		return permanent(constellation.KindInvalid, "the index has no image of any platform: build for linux/amd64, or what your clusters' nodes are")
	case len(p.platforms) == 0:
		return permanent(constellation.KindInvalid, "the image's config names no os and architecture, so no cluster can tell where it runs: build it with both, such as linux/amd64")
	}
	return permanent(constellation.KindInvalid, "the image is for %s alone, and satellites run on linux: build it for linux/amd64, or what your clusters' nodes are", strings.Join(p.platforms, ", "))
}

func imageConfig(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == dockerConfig
}

func validDigest(text string) bool {
	digits, ok := strings.CutPrefix(text, "sha256:")
	return ok && len(digits) == 64 && strings.Trim(digits, "0123456789abcdef") == ""
}

// clip keeps what a registry said from filling a message.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
