package install

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

// PushResult is what a push did.
type PushResult struct {
	Registry string             `json:"registry"`
	Images   []transfer.Mapping `json:"images"`
	Pushed   int                `json:"pushed"` // images that were not there yet
	Uploaded int64              `json:"blobs_uploaded"`
	Mounted  int64              `json:"blobs_mounted"` // from another repository of the registry
	Bytes    int64              `json:"bytes_uploaded"`
}

// PushOptions are a push's choices.
type PushOptions struct {
	From     string // an export or a folder to push from, "" for the launch's own
	Trust    string // ID of a mothership's key that its admin confirmed
	Config   bool   // with From: take the configuration that it holds, which nobody signed
	Progress *progress.Reporter
	Idle     time.Duration                   // how long an upload may stand still; 0 is 30 s
	Backoff  func(attempt int) time.Duration // nil is 0.5 s doubling to 15 s
}

// Push verifies the launch and puts its images into the configured registry,
// digests unchanged. With From it pushes straight from an export, which is not
// unpacked; the configuration is then that of the launch's folder, and with
// Config that which the export holds.
func Push(ctx context.Context, f store.Folder, o PushOptions) (*PushResult, error) {
	s := &session{report: o.Progress, attempts: transfer.NewRetrier(o.Progress.Retry, o.Backoff)}
	result, err := s.pushLaunch(ctx, f, o)
	return result, fault.Interrupted(ctx, store.NoRoomLeft(err, f.Root), "the push")
}

func (s *session) pushLaunch(ctx context.Context, f store.Folder, o PushOptions) (*PushResult, error) {
	if o.From == "" {
		if err := f.Exists(); err != nil {
			return nil, err
		}
	}
	unlock, err := f.Lock(ctx, "push", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if o.From == "" {
		if err := s.fromFolder(ctx, f, o.Trust); err != nil {
			return nil, err
		}
		return s.pushFrom(ctx, o)
	}
	c, err := store.OpenArchive(ctx, o.From)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := s.fromContents(c, f, o); err != nil {
		return nil, c.Blame(ctx, err)
	}
	result, err := s.pushFrom(ctx, o)
	return result, c.Blame(ctx, err)
}

// pushFrom pushes from the source that was found.
func (s *session) pushFrom(ctx context.Context, o PushOptions) (*PushResult, error) {
	if err := s.forPush(o.Idle); err != nil {
		return nil, err
	}
	defer s.registry.Close()
	return s.push(ctx)
}

func (s *session) fromFolder(ctx context.Context, f store.Folder, confirmed string) (err error) {
	if s.launch, err = store.OpenLaunch(f); err != nil {
		return err
	}
	s.source = s.launch.Blobs()
	return s.launch.Verify(ctx, confirmed, false, s.report)
}

// fromContents takes the launch from an export; the registry hashes the blobs.
func (s *session) fromContents(c *store.Archive, f store.Folder, o PushOptions) (err error) {
	if s.launch, err = c.Launch(f.Root); err != nil {
		return err
	}
	if at := s.launch.Folder; at.SatelliteID != f.SatelliteID || at.LaunchID != f.LaunchID {
		return fault.Errorf(fault.CodeUsage, "%s holds launch %s of satellite %s, and not %s of %s", c.Path, s.launch.Root.LaunchID, s.launch.Root.SatelliteID, f.LaunchID, f.SatelliteID)
	}
	s.launch.Folder = f
	s.source = c
	if err := c.Complete(s.launch); err != nil {
		return err
	}
	index, err := c.Document(c.Index)
	if err != nil {
		return err
	}
	if err := s.launch.CheckIndex(index, c.Document); err != nil {
		return err
	}
	if _, err := s.launch.VerifySignature(o.Trust, false, s.report); err != nil {
		return err
	}
	return settings.ImportConfig(c, f, o.Config, s.report)
}

// forPush reads what a push needs of the configuration: the registry, and no
// cluster, which the machine that pushes may not reach.
func (s *session) forPush(stall time.Duration) (err error) {
	f := s.folder()
	if s.config, err = settings.Read(f); err != nil {
		return err
	}
	if s.config.Stage.ContainerRegistry == "" {
		return fault.Errorf(fault.CodeUsage, "not configured yet; run: algo-install satellite %s %s configure stage.container_registry=HOST[:PORT]/PATH", f.SatelliteID, f.LaunchID)
	}
	s.images = mapImages(s.launch.Plan, s.config.Stage)
	c := s.config.Stage.RegistryConfig()
	c.Stall = stall
	s.registry, err = registry.Open(c)
	return err
}

// push asks for every image with one HEAD, claims them for the launch, and
// uploads those that are not there: each blob once, manifests last, and no
// manifest before the claim.
func (s *session) push(ctx context.Context) (*PushResult, error) {
	result := &PushResult{Registry: s.config.Stage.ContainerRegistry}
	all, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	var todo []*transfer.Image
	for _, i := range all {
		result.Images = append(result.Images, i.Mapping)
		if !i.There {
			todo = append(todo, i)
		}
	}
	claimed := make(chan struct{})
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := s.claims().Put(inner, all)
		if err == nil {
			close(claimed)
		}
		return err
	})
	if len(todo) > 0 {
		u := transfer.NewUploader(s.registry, s.source, s.attempts, transfer.OpenUploads(s.folder(), result.Registry), s.report)
		group.Go(func() error {
			if err := u.Push(inner, all, todo, claimed); err != nil {
				return err
			}
			result.Uploaded, result.Mounted, result.Bytes = u.Sent.Load(), u.Mounted.Load(), u.Moved()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result.Pushed = len(todo)
	if there := len(result.Images) - len(todo); there > 0 {
		s.report.Line("%s in %s already", images(there), result.Registry)
	}
	if err := s.folder().WriteJSON("lock/"+transfer.FileNameOf(result.Registry)+".json", result.Images); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the lock file")
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

// headWidth is how many manifests are asked for at a time.
const headWidth = 8

// find asks the registry for every image of the plan.
func (s *session) find(ctx context.Context) ([]*transfer.Image, error) {
	r := s.attempts
	if err := r.Do(ctx, "reach "+s.registry.Host(), transfer.PlanAttempts, func() error {
		return s.registry.Classify(ctx, s.registry.Connect(ctx), "log in")
	}); err != nil {
		return nil, err
	}
	var all []*transfer.Image
	for _, planned := range s.launch.Plan.Images() {
		i := &transfer.Image{Image: planned, Mapping: s.images[planned.Digest]}
		var err error
		if i.RepositoryPath, i.TagName, err = s.registry.Split(i.Tag); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(headWidth)
	for _, i := range all {
		group.Go(func() error {
			return r.Do(inner, "look for "+i.Tag, transfer.BlobAttempts, func() error {
				digest, err := s.registry.Resolve(inner, i.RepositoryPath, i.TagName)
				i.There = err == nil && digest == i.Digest
				return s.registry.Classify(inner, err, "look for "+i.Tag)
			})
		})
	}
	return all, group.Wait()
}
