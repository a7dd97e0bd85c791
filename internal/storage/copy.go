package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Where a registry's content is, as distribution documents it, and what we keep
// beside it.
const (
	blobsRoot        = "/docker/registry/v2/blobs"
	repositoriesRoot = "/docker/registry/v2/repositories"
	ownRoot          = "/constellation"
	probePath        = ownRoot + "/probe"
)

// blobsAtOnce and filesAtOnce are how many are copied side by side.
const (
	blobsAtOnce = 4
	filesAtOnce = 16
)

// Copied counts what a copy has done.
type Copied struct {
	Blobs, Bytes   int64 // that are to be there in the end
	There          int64 // of the blobs, those that were there before
	Done, Moved    int64 // blobs and bytes that were copied
	Files          int64 // links, tags and the like that were written
	DamagedDigests []string
}

// Copier copies a registry from one place to another, whether servers use it or
// not. It may be ended at any moment, run again and run twice at once: it comes
// to the same end.
type Copier struct {
	fromAt, toAt Location
	from, to     driver.StorageDriver
	stage        *stage // nil where content appears whole by itself

	mu     sync.Mutex
	copied Copied
	there  map[string]int64 // sizes of what the target has, by path
}

// NewCopier opens both places and makes sure that they can be used, and that the target
// holds nothing or an older copy of the source.
func NewCopier(ctx context.Context, from, to Location) (*Copier, error) {
	if from == to {
		return nil, sameError(from)
	}
	c := &Copier{fromAt: from, toAt: to, there: map[string]int64{}}
	var err error
	if c.from, err = Open(from); err != nil {
		return nil, err
	}
	if c.to, err = Open(to); err != nil {
		return nil, err
	}
	if _, err := c.from.Stat(ctx, blobsRoot); isMissing(err) {
		return nil, constellation.Errorf(constellation.KindNotFound, "%s has no registry in it", from)
	} else if err != nil {
		return nil, Explain(from, "read from", err)
	}
	if err := Check(ctx, to, c.to); err != nil {
		return nil, err
	}
	if err := c.checkTarget(ctx); err != nil {
		return nil, err
	}
	if to.Dir() != "" {
		if c.stage, err = newStage(to.Dir()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func isMissing(err error) bool { return errors.As(err, new(driver.PathNotFoundError)) }

// Close ends what NewCopier began.
func (c *Copier) Close() error {
	if c.stage == nil {
		return nil
	}
	return c.stage.close()
}

// Progress returns what is done so far.
func (c *Copier) Progress() Copied {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := c.copied
	copied.DamagedDigests = slices.Clone(copied.DamagedDigests)
	return copied
}

func (c *Copier) note(change func(*Copied)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.copied)
}

// Run copies what the target lacks: blobs, then what refers to them, tags last.
// Blobs are held to their digests; a damaged one is left out and noted.
func (c *Copier) Run(ctx context.Context) error {
	if err := c.run(ctx); err != nil {
		return Explain(c.toAt, "written to", err) // what the source fails with says so
	}
	return nil
}

func (c *Copier) run(ctx context.Context) error {
	if err := c.look(ctx); err != nil {
		return fmt.Errorf("list the target: %w", err)
	}
	if err := c.blobs(ctx); err != nil {
		return fmt.Errorf("copy blobs: %w", err)
	}
	tags, err := c.links(ctx)
	if err != nil {
		return fmt.Errorf("copy links: %w", err)
	}
	if err := c.each(ctx, filesAtOnce, tags, c.file); err != nil {
		return fmt.Errorf("copy tags: %w", err)
	}
	var own []string
	err = c.walkSource(ctx, ownRoot, func(info driver.FileInfo) error {
		if info.Path() != probePath && info.Path() != copyPath && !strings.HasPrefix(info.Path(), stagePath+"/") && !isTemporary(info.Path()) {
			own = append(own, info.Path())
		}
		return nil
	})
	if err == nil {
		err = c.each(ctx, filesAtOnce, own, c.file)
	}
	if err != nil {
		return fmt.Errorf("copy what is kept beside the images: %w", err)
	}
	if err := c.ended(ctx); err != nil {
		return err
	}
	if _, err := DropLeftUploads(ctx, c.to, time.Now().Add(-leftAge), false); err != nil {
		return fmt.Errorf("drop what copies left: %w", err)
	}
	return nil
}

// leftAge is how old an upload is that no copy goes on with any more.
const leftAge = 24 * time.Hour

// isTemporary reports whether a file is one that is being written.
func isTemporary(name string) bool { return strings.HasSuffix(name, ".tmp") }

// walkFiles calls f for all files below a path, which may be missing, other than
// those of uploads.
func walkFiles(ctx context.Context, d driver.StorageDriver, from string, f func(driver.FileInfo) error) error {
	err := d.Walk(ctx, from, func(info driver.FileInfo) error {
		if info.IsDir() {
			if path.Base(info.Path()) == "_uploads" {
				return driver.ErrSkipDir
			}
			return ctx.Err()
		}
		return f(info)
	})
	if isMissing(err) {
		return nil
	}
	return err
}

// walkSource is walkFiles of the source.
func (c *Copier) walkSource(ctx context.Context, from string, f func(driver.FileInfo) error) error {
	var called error // of f, which may be the target's
	err := walkFiles(ctx, c.from, from, func(info driver.FileInfo) error {
		called = f(info)
		return called
	})
	if called != nil || err == nil {
		return err
	}
	return c.unread(err)
}

// unread is an error of the source.
func (c *Copier) unread(err error) error {
	if errors.Is(cause(err), context.Canceled) { // as when the target failed
		return err
	}
	return Explain(c.fromAt, "read from", err)
}

func (c *Copier) look(ctx context.Context) error {
	return walkFiles(ctx, c.to, path.Dir(blobsRoot), func(info driver.FileInfo) error {
		c.there[info.Path()] = info.Size()
		return nil
	})
}

func (c *Copier) blobs(ctx context.Context) error {
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	err := c.walkSource(copying, blobsRoot, func(info driver.FileInfo) error {
		if path.Base(info.Path()) != "data" {
			return nil
		}
		size, there := c.there[info.Path()]
		there = there && size == info.Size()
		c.note(func(done *Copied) {
			done.Blobs++
			done.Bytes += info.Size()
			if there {
				done.There++
			}
		})
		if !there {
			group.Go(func() error { return c.blob(copying, info.Path()) })
		}
		return nil
	})
	return first(group.Wait(), err)
}

// first returns the error of copies if there is one: it ends the walk, which then fails
// for that.
func first(copied, walked error) error {
	if copied != nil {
		return copied
	}
	return walked
}

// digestOf is the digest that a blob's path names.
func digestOf(blob string) (digest.Digest, error) {
	parts := strings.Split(strings.TrimPrefix(blob, blobsRoot+"/"), "/")
	if len(parts) != 4 {
		return "", fmt.Errorf("%s is no blob's path", blob)
	}
	return digest.Parse(parts[0] + ":" + parts[2])
}

func blobPath(d digest.Digest) string {
	return path.Join(blobsRoot, d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

// blob copies one blob. One that was removed meanwhile is left out: so are its
// links then.
func (c *Copier) blob(ctx context.Context, blob string) error {
	want, err := digestOf(blob)
	if err != nil {
		return nil //nolint:nilerr // nothing can refer to it
	}
	r, err := c.from.Reader(ctx, blob, 0)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return c.unread(err)
	}
	defer func() { _ = r.Close() }() // only read
	target := blob
	if c.stage != nil {
		target = c.stage.path(want)
	}
	w, err := c.to.Writer(ctx, target, false)
	if err != nil {
		return err
	}
	verifier := want.Verifier()
	_, err = io.Copy(io.MultiWriter(w, verifier, moved{c}), source{r, c})
	if err == nil && !verifier.Verified() {
		c.note(func(done *Copied) { done.DamagedDigests = append(done.DamagedDigests, want.String()) })
		return w.Cancel(ctx)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("copy %s: %w", want, err), w.Cancel(context.WithoutCancel(ctx)))
	} else if err = errors.Join(w.Commit(ctx), w.Close()); err != nil {
		err = fmt.Errorf("store %s: %w", want, err)
	}
	if err != nil {
		if c.copiedBeside(ctx, blob) {
			c.note(func(done *Copied) { done.There++ })
			return nil
		}
		return err
	}
	if target != blob {
		if err := c.to.Move(ctx, target, blob); err != nil {
			return fmt.Errorf("store %s: %w", want, err)
		}
	}
	c.note(func(done *Copied) { done.Done++ })
	return nil
}

// copiedBeside reports whether a blob that could not be stored is there whole: another
// copy was faster, and dropped what it had no more use for.
func (c *Copier) copiedBeside(ctx context.Context, blob string) bool {
	if uploaderOf(c.to) == nil || ctx.Err() != nil {
		return false
	}
	source, err := c.from.Stat(ctx, blob)
	if err != nil {
		return false
	}
	there, err := c.to.Stat(ctx, blob)
	return err == nil && there.Size() == source.Size()
}

// source says in its errors that it was the source that failed.
type source struct {
	r io.Reader
	c *Copier
}

// Read implements io.Reader.
func (s source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err == io.EOF { //nolint:errorlint // as io.Reader has it
		return n, err
	}
	return n, s.c.unread(err)
}

// moved counts bytes.
type moved struct{ c *Copier }

// Write implements io.Writer.
func (m moved) Write(p []byte) (int, error) {
	m.c.note(func(done *Copied) { done.Moved += int64(len(p)) })
	return len(p), nil
}

// links copies what names blobs by their digests, and returns the tags, which
// name manifests.
func (c *Copier) links(ctx context.Context) (tags []string, err error) {
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	err = c.walkSource(copying, repositoriesRoot, func(info driver.FileInfo) error {
		name := info.Path()
		switch {
		case isTemporary(name):
		case strings.HasSuffix(name, "/current/link"):
			tags = append(tags, name)
		case c.there[name] == info.Size() && info.Size() > 0: // it says what its path says
		default:
			group.Go(func() error { return c.link(copying, name) })
		}
		return nil
	})
	return tags, first(group.Wait(), err)
}

// link copies a link, after a blob that was pushed since the blobs were listed.
func (c *Copier) link(ctx context.Context, name string) error {
	content, err := c.from.GetContent(ctx, name)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return c.unread(err)
	}
	if d, err := digest.Parse(string(content)); err == nil {
		if _, err := c.to.Stat(ctx, blobPath(d)); isMissing(err) {
			if err := c.blob(ctx, blobPath(d)); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return c.write(ctx, name, content)
}

// file copies a small file that may have changed.
func (c *Copier) file(ctx context.Context, name string) error {
	content, err := c.from.GetContent(ctx, name)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return c.unread(err)
	}
	if there, err := c.to.GetContent(ctx, name); err == nil && bytes.Equal(there, content) {
		return nil
	} else if err != nil && !isMissing(err) {
		return err
	}
	return c.write(ctx, name, content)
}

func (c *Copier) write(ctx context.Context, name string, content []byte) error {
	target := name
	if c.stage != nil {
		target = c.stage.path(digest.FromString(name))
	}
	if err := c.to.PutContent(ctx, target, content); err != nil {
		return err
	}
	if target != name {
		if err := c.to.Move(ctx, target, name); err != nil {
			return err
		}
	}
	c.note(func(done *Copied) { done.Files++ })
	return nil
}

func (c *Copier) each(ctx context.Context, atOnce int, names []string, f func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, name := range names {
		group.Go(func() error { return f(ctx, name) })
	}
	return group.Wait()
}
