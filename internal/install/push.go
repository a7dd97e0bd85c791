package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// PushResult is what a push did.
type PushResult struct {
	Registry string    `json:"registry"`
	Images   []Mapping `json:"images"`
	Pushed   int       `json:"pushed"` // images that were not there yet
	Uploaded int64     `json:"blobs_uploaded"`
	Mounted  int64     `json:"blobs_mounted"` // from another repository of the registry
	Bytes    int64     `json:"bytes_uploaded"`
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
	return result, interrupted(ctx, full(err, f.Root), "the push")
}

// push asks for every image with one HEAD, and uploads those that are not
// there: each blob once, manifests last.
func (s *session) push(ctx context.Context) (*PushResult, error) {
	result := &PushResult{Registry: s.config.Stage.ContainerRegistry}
	all, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	var todo []*image
	for _, i := range all {
		result.Images = append(result.Images, i.Mapping)
		if !i.there {
			todo = append(todo, i)
		}
	}
	if len(todo) > 0 {
		if err := s.upload(ctx, all, todo, result); err != nil {
			return nil, err
		}
	}
	result.Pushed = len(todo)
	if there := len(result.Images) - len(todo); there > 0 {
		s.progress.Line("%s in %s already", images(there), result.Registry)
	}
	file := s.folder().Path("lock", notInFiles.ReplaceAllString(result.Registry, "_")+".json")
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

// headWidth is how many manifests are asked for at a time.
const headWidth = 8

// find asks the registry for every image of the plan.
func (s *session) find(ctx context.Context) ([]*image, error) {
	r := retrier{report: s.progress.Retry, delay: s.delay}
	if err := r.retry(ctx, "reach "+s.registry.host.RegistryStr(), planAttempts, func() (bool, error) {
		return false, transient(s.registry, ctx, s.registry.connect(ctx), "reach it")
	}); err != nil {
		return nil, err
	}
	var all []*image
	for _, planned := range s.launch.plan.Images() {
		i := &image{Image: planned, Mapping: s.images[planned.Digest]}
		var err error
		if i.repository, i.tag, err = s.registry.split(i.Tag); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(headWidth)
	for _, i := range all {
		group.Go(func() error {
			return r.retry(inner, "look for "+i.Tag, blobAttempts, func() (bool, error) {
				digest, err := s.registry.resolve(inner, i.repository, i.tag)
				i.there = err == nil && digest == i.Digest
				return false, transient(s.registry, inner, err, "look for "+i.Tag)
			})
		})
	}
	return all, group.Wait()
}

// transient explains a failure of the registry, final unless it may pass.
func transient(r *registry, ctx context.Context, err error, what string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	explained := r.explain(err, what)
	var refused *refusal
	if explained.Code == CodeNetwork && !strings.Contains(explained.Message, "configure stage.registry") || errors.As(err, &refused) && refused.status >= 500 {
		return explained
	}
	return final{explained}
}

// upload pushes images: first every blob that they need, each once, then what
// other repositories need of the same blobs, then the manifests.
func (s *session) upload(ctx context.Context, all, todo []*image, result *PushResult) error {
	for _, i := range all {
		if err := i.read(s.source); err != nil {
			return err
		}
	}
	first, again := targets(all, todo)
	var bytes int64
	for _, t := range slices.Concat(first, again) {
		bytes += t.blob.Size
	}
	for _, i := range todo {
		name, _, _ := strings.Cut(i.Source, "@")
		s.progress.Line("pushing %s → %s", name, i.Tag)
	}
	t := s.progress.transfer("push", len(first)+len(again), bytes, newWidth())
	defer t.end()
	u := &uploader{registry: s.registry, retrier: retrier{report: s.progress.Retry, delay: s.delay}, source: s.source,
		uploads: openUploads(s.folder(), result.Registry), transfer: t}
	for _, list := range [][]target{first, again} {
		if err := u.all(ctx, list); err != nil {
			return s.registry.explainMissing(err, todo)
		}
	}
	for _, i := range todo {
		if err := u.manifests(ctx, i, s.progress); err != nil {
			return err
		}
		repository, digest, _ := strings.Cut(i.Destination, "@")
		s.progress.Line("pushed %s@sha256:%s…", repository, short(digest))
	}
	result.Uploaded, result.Mounted, result.Bytes = u.sent.Load(), u.mounted.Load(), t.moved.Load()
	return nil
}

// all puts blobs, by the queue that get has too.
func (u *uploader) all(ctx context.Context, list []target) error {
	byBlob := map[bundle.Descriptor][]target{}
	var blobs []bundle.Descriptor
	for _, t := range list {
		byBlob[t.blob] = append(byBlob[t.blob], t)
	}
	for blob := range byBlob {
		blobs = append(blobs, blob)
	}
	var mu sync.Mutex
	return moveAll(ctx, "pushed", u.transfer, blobs, func(ctx context.Context, blob bundle.Descriptor) error {
		mu.Lock()
		mine := byBlob[blob]
		mu.Unlock()
		for _, t := range mine {
			if err := u.put(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// targets says which blob goes into which repository: first each blob into
// one, then into the others, which mount it from there.
func targets(all, todo []*image) (first, again []target) {
	has := map[string][]string{} // by digest: repositories that have it
	for _, i := range all {
		if i.there {
			for _, blob := range i.blobs {
				has[blob.Digest] = append(has[blob.Digest], i.repository)
			}
		}
	}
	planned := map[string]bool{}
	owner := map[string]string{}
	for _, i := range todo {
		for _, blob := range i.blobs {
			t := target{blob: blob, repository: i.repository}
			if planned[key(t)] {
				continue
			}
			planned[key(t)] = true
			for _, repository := range has[blob.Digest] {
				if repository != i.repository && !slices.Contains(t.mounts, repository) {
					t.mounts = append(t.mounts, repository)
				}
			}
			if from, ok := owner[blob.Digest]; ok {
				t.mounts = append(t.mounts, from)
				again = append(again, t)
				continue
			}
			owner[blob.Digest] = i.repository
			first = append(first, t)
		}
	}
	return first, again
}

// read finds every manifest and blob that an image reaches.
func (i *image) read(from source) error {
	return i.walk(from, bundle.Descriptor{MediaType: i.MediaType, Digest: i.Digest}, map[string]bool{})
}

func (i *image) walk(from source, manifest bundle.Descriptor, seen map[string]bool) error {
	if seen[manifest.Digest] {
		return nil
	}
	seen[manifest.Digest] = true
	data, err := from.document(manifest.Digest)
	if err != nil {
		return err
	}
	if types.MediaType(manifest.MediaType).IsIndex() {
		index, err := v1.ParseIndexManifest(bytes.NewReader(data))
		if err != nil {
			return wrap(err, CodeIntegrity, "read the index %s", manifest.Digest)
		}
		for _, child := range index.Manifests {
			if err := i.walk(from, bundle.Descriptor{MediaType: string(child.MediaType), Digest: child.Digest.String()}, seen); err != nil {
				return err
			}
		}
	} else {
		parsed, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil {
			return wrap(err, CodeIntegrity, "read the manifest %s", manifest.Digest)
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

// explainMissing adds, to a repository that is not there, the commands that
// make it and the others that the launch needs.
func (r *registry) explainMissing(err error, todo []*image) error {
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeFailed || !strings.Contains(e.Message, "answered 404") {
		return err
	}
	told := *e
	host := r.host.RegistryStr()
	if kindOf(host) != kindECR {
		told.Next = pathHint(host)
		return &told
	}
	var commands []string
	for _, i := range todo {
		if c := createECR(host, i.repository); !slices.Contains(commands, c) {
			commands = append(commands, c)
		}
	}
	told.Next = "→ ECR makes no repository on a push; make those that are missing, then push again:\n  " + strings.Join(commands, "\n  ")
	return &told
}
