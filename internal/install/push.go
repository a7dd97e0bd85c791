package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

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

// PushOptions are a push's choices.
type PushOptions struct {
	From     string // an export or a folder to push from, "" for the launch's own
	Trust    string // with From: id of a new mothership key that the operator accepts
	Progress *Progress
	Idle     time.Duration                   // how long an upload may stand still; 0 is 30 s
	Backoff  func(attempt int) time.Duration // nil is 0.5 s doubling to 15 s
}

// Push verifies the launch and puts its images into the configured registry,
// digests unchanged. With From it pushes straight from an export, which is not
// unpacked; the configuration is then that of the launch's folder, else that
// which the export holds.
func Push(ctx context.Context, f Folder, o PushOptions) (*PushResult, error) {
	s := &session{progress: o.Progress, delay: o.Backoff}
	if s.delay == nil {
		s.delay = backoff
	}
	result, err := s.pushLaunch(ctx, f, o)
	return result, interrupted(ctx, full(err, f.Root), "the push")
}

func (s *session) pushLaunch(ctx context.Context, f Folder, o PushOptions) (*PushResult, error) {
	check := f.exists
	if o.From != "" {
		check = f.make
	}
	if err := check(); err != nil {
		return nil, err
	}
	unlock, err := f.lock(ctx, "push", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if o.From == "" {
		err = s.fromFolder(ctx, f)
	} else {
		var c *contents
		if c, err = openContents(o.From); err != nil {
			return nil, err
		}
		defer c.close()
		err = s.fromContents(c, f, o.Trust)
	}
	if err != nil {
		return nil, err
	}
	if err := s.forPush(); err != nil {
		return nil, err
	}
	s.registry.idle = cmp.Or(o.Idle, idleTimeout)
	defer s.registry.transport.CloseIdleConnections()
	return s.push(ctx)
}

func (s *session) fromFolder(ctx context.Context, f Folder) (err error) {
	if s.launch, err = openLaunch(f); err != nil {
		return err
	}
	s.source = folderSource{s.launch}
	return s.launch.verify(ctx, s.progress)
}

// fromContents takes the launch from an export; the registry hashes the blobs.
func (s *session) fromContents(c *contents, f Folder, trusted string) (err error) {
	if s.launch, err = c.launch(f.Root); err != nil {
		return err
	}
	if s.launch.folder != f {
		return errorf(CodeUsage, "%s holds launch %s of satellite %s, and not %s of %s", c.path, s.launch.root.LaunchID, s.launch.root.SatelliteID, f.LaunchID, f.SatelliteID)
	}
	s.source = c
	if err := c.complete(s.launch); err != nil {
		return err
	}
	index, err := c.document(c.index)
	if err != nil {
		return err
	}
	if err := s.launch.checkIndex(index, c.document); err != nil {
		return err
	}
	if _, err := s.launch.verifySignature(trusted, s.progress); err != nil {
		return err
	}
	return c.adopt(f)
}

// forPush reads what a push needs of the configuration: the registry, and no
// cluster, which the machine that pushes may not reach.
func (s *session) forPush() (err error) {
	f := s.folder()
	if s.config, err = readConfig(f); err != nil {
		return err
	}
	if s.config.Stage.ContainerRegistry == "" {
		return errorf(CodeUsage, "not configured yet; run: algo-install satellite %s %s configure stage.container_registry=HOST[:PORT]/PATH", f.SatelliteID, f.LaunchID)
	}
	s.images = mapImages(s.launch.plan, s.config.Stage)
	s.registry, err = openRegistry(s.config.Stage)
	return err
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
		return false, transient(ctx, s.registry, s.registry.connect(ctx), "log in")
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
				return false, transient(inner, s.registry, err, "look for "+i.Tag)
			})
		})
	}
	return all, group.Wait()
}

// transient explains a failure of the registry, final unless it may pass.
func transient(ctx context.Context, r *registry, err error, what string) error {
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
	return moveAll(ctx, "pushed", u.transfer, blobs, func(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
		mu.Lock()
		mine := byBlob[blob]
		mu.Unlock()
		for _, t := range mine {
			if err := u.put(ctx, t); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
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
