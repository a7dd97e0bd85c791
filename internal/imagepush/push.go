package imagepush

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/transfer"
	"github.com/constellation-serving/constellation/internal/systemimage"
)

// Options say where an image goes, and what it is made of.
type Options struct {
	Reference  string // HOST[:PORT]/PATH[:TAG]; the tag is the version by default
	Version    string
	Executable string // "" is the running program
	CABundle   string // in the image; "" is the machine's
	Insecure   *bool  // as of a launch's registry
	CAFile     string // of the registry's own certificate authority
	Progress   *progress.Reporter
}

// Result is what was pushed.
type Result struct {
	Image     string   `json:"image"` // REPOSITORY@DIGEST
	Tag       string   `json:"tag"`   // REPOSITORY:TAG
	Digest    string   `json:"digest"`
	Platforms []string `json:"platforms"`
	There     bool     `json:"already_there"`
	Bytes     int64    `json:"bytes_uploaded"`
}

// Push makes the image and puts it where Reference says. Its errors are of package
// fault, in one sentence.
func Push(ctx context.Context, o Options) (*Result, error) {
	tag, err := parse(o)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "constellation-image-")
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "make a folder for the image")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r, err := registry.Open(registry.Config{Address: path.Dir(tag.Repository.Name()), Insecure: o.Insecure, CAFile: o.CAFile})
	if err != nil {
		return nil, reworded(err)
	}
	defer r.Close()
	p := &push{Options: o, registry: r, tag: tag, attempts: transfer.NewRetrier(o.Progress.Retry, nil)}
	result, err := p.run(ctx, dir)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Code == fault.CodeAuth && e.Next == "" && !strings.Contains(e.Message, "docker login") {
		advised := *e
		advised.Next, err = "→ "+r.Advice(e, tag.Repository.Name()), &advised
	}
	return result, fault.Interrupted(ctx, store.NoRoomLeft(reworded(err), dir), "the push")
}

// parse reads the reference, which names its registry.
func parse(o Options) (name.Tag, error) {
	tag, err := name.NewTag(o.Reference, name.WithDefaultTag(systemimage.Tag(o.Version)))
	host, _, ok := strings.Cut(o.Reference, "/")
	if err != nil || !ok || strings.Contains(o.Reference, "://") || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return tag, fault.Errorf(fault.CodeUsage, "an image goes to REGISTRY/PATH or REGISTRY/PATH:TAG, such as registry.example.com/constellation; not %q", o.Reference)
	}
	return tag, nil
}

// push is one that is under way.
type push struct {
	Options
	registry *registry.Registry
	tag      name.Tag
	attempts transfer.Retrier
}

func (p *push) run(ctx context.Context, dir string) (*Result, error) {
	// A login that is wrong is told before the image is made.
	repository := p.tag.RepositoryStr()
	err := p.attempts.Do(ctx, "reach "+p.registry.Host(), transfer.PlanAttempts, func() error {
		return p.registry.Classify(ctx, p.registry.Connect(ctx), "log in")
	})
	if err != nil {
		return nil, err
	}
	p.Progress.Line("making the image for %s", systemimage.Platform())
	image, err := write(ctx, dir, p.Options)
	if err != nil {
		return nil, err
	}
	digest := image.descriptor.Digest.String()
	result := &Result{Image: p.tag.Repository.Name() + "@" + digest, Tag: p.tag.Name(), Digest: digest, Platforms: []string{systemimage.Platform()}}
	i := &transfer.Image{
		Image:          bundle.Image{Repository: repository, Digest: digest, MediaType: v1.MediaTypeImageManifest, Platforms: result.Platforms},
		Mapping:        transfer.Mapping{Source: "mothership " + p.Version + "@" + digest, Destination: result.Image, Tag: result.Tag},
		RepositoryPath: repository, TagName: p.tag.TagStr(),
	}
	err = p.attempts.Do(ctx, "look for "+i.Tag, transfer.BlobAttempts, func() error {
		there, err := p.registry.Resolve(ctx, repository, i.TagName)
		result.There = err == nil && there == digest
		return p.registry.Classify(ctx, err, "look for "+i.Tag)
	})
	if err != nil || result.There {
		return result, err
	}
	claimed := make(chan struct{})
	close(claimed) // there is nobody else to be careful of
	u := transfer.NewUploader(p.registry, image, p.attempts, transfer.OpenUploads(store.Folder{Root: dir}, p.registry.Host()), p.Progress)
	if err := u.Push(ctx, []*transfer.Image{i}, []*transfer.Image{i}, claimed); err != nil {
		return nil, err
	}
	result.Bytes = u.Moved()
	return result, nil
}

// wording is what a launch's settings are called here.
var wording = strings.NewReplacer(
	"configure stage.registry.ca_file=FILE", "give --ca-file FILE",
	"configure stage.registry.insecure=true", "give --insecure", "stage.registry.insecure=true", "give --insecure",
	"configure stage.container_registry with", "give", "stage.container_registry", "the reference",
)

// reworded is an error in the words of this command.
func reworded(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	told := *e
	told.Message, told.Next = wording.Replace(e.Message), wording.Replace(e.Next)
	return &told
}

var errChanged = errors.New("it is not as it was written")

// problem is a fault of what the image is made of.
func problem(err error, what string) error { return fault.Wrap(err, fault.CodeFailed, "%s", what) }
