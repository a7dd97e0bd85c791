package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/weights"
)

// Options is what is fetched, and where to.
type Options struct {
	Image  string // REPOSITORY@sha256:… in the customer's registry
	Folder string // in which the folder of the weights is made, by Name
	Access Access
	// Budget is what the weights unpack to, as who delivered them says.
	Budget weights.Budget
	// Log is called with a line for whoever looks at the pod's log.
	Log func(format string, args ...any)
	// Delay is between attempts; nil is that of production.
	Delay func(attempt int) time.Duration
}

// attempts is how often in a row a request is made that brings nothing.
const attempts = 8

// Name returns the name of the folder of weights with that digest.
func Name(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// Weights makes the folder of weights, unless it is there whole. What it returns
// is one sentence for whoever looks at the pod.
func Weights(ctx context.Context, o Options) error {
	if o.Delay == nil {
		o.Delay = retry.Backoff{First: 500 * time.Millisecond, Most: 15 * time.Second, Jitter: 0.5}.Delay
	}
	options := []name.Option{name.StrictValidation}
	if o.Access.Insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.NewDigest(o.Image, options...)
	if err != nil {
		return fmt.Errorf("the weights' image %q is not REPOSITORY@sha256:…: %w", o.Image, err)
	}
	place := filepath.Join(o.Folder, Name(ref.DigestStr()))
	if whole(place) {
		o.Log("weights %s are there", ref.DigestStr())
		return nil
	}
	unlock, err := lock(ctx, o.Folder, Name(ref.DigestStr()), o.Log)
	if err != nil {
		return err
	}
	defer unlock()
	if whole(place) { // another pod made it meanwhile
		o.Log("weights %s are there", ref.DigestStr())
		return nil
	}
	began := time.Now()
	if err := unpackInto(ctx, o, ref, place); err != nil {
		return err
	}
	o.Log("weights %s are there after %s", ref.DigestStr(), time.Since(began).Round(time.Millisecond))
	return nil
}

// whole reports whether the weights are there: their folder gets its name last.
func whole(place string) bool {
	info, err := os.Lstat(place)
	return err == nil && info.IsDir()
}

// unpackInto makes the folder beside its place and renames it.
func unpackInto(ctx context.Context, o Options, ref name.Digest, place string) error {
	source, err := connect(ctx, ref, o.Access, retry.Policy{Attempts: attempts, Delay: o.Delay})
	if err != nil {
		return err
	}
	manifest, err := source.manifest(ctx, ref.DigestStr())
	if err != nil {
		return err
	}
	artifact, err := weights.Parse(manifest)
	if err != nil {
		return err
	}
	u := unpacking{Options: o, source: source, part: filepath.Join(o.Folder, "."+Name(ref.DigestStr())+".part")}
	if err := u.begin(); err != nil {
		return err
	}
	defer u.end()
	if err := u.room(); err != nil {
		return err
	}
	for i, layer := range artifact.Layers {
		if err := u.layer(ctx, i, layer); err != nil {
			return u.full(err)
		}
	}
	if err := u.commit(place); err != nil {
		return u.full(fmt.Errorf("finish the weights: %w", err))
	}
	return nil
}

// full says of a disk that filled up what to do about it.
func (u *unpacking) full(err error) error {
	if !isFull(err) {
		return err
	}
	return fmt.Errorf("the weights need %s and there is no room left where they are unpacked%s: %w", size(u.total), u.others(), err)
}

// room finds out before anything is moved whether the weights have room.
func (u *unpacking) room() error {
	free, err := freeSpace(u.Folder)
	if err != nil || free < 0 {
		return err
	}
	if need := u.total - u.used(); need > free {
		return fmt.Errorf("weights of %s, and %s are free where they are unpacked%s: give nodes or the claim of stage.weights.cache more room, or take smaller weights", size(u.total), size(free), u.others())
	}
	return nil
}

// others names what else is in a cache.
func (u *unpacking) others() string {
	entries, err := os.ReadDir(u.Folder)
	if err != nil {
		return ""
	}
	n := 0
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (beside %d other weights there)", n)
}

// used returns how many bytes are unpacked already.
func (u *unpacking) used() int64 {
	var total int64
	_ = filepath.WalkDir(u.part, func(_ string, e fs.DirEntry, err error) error { // a smaller sum is no harm
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

func size(n int64) string {
	const unit = 1000
	switch {
	case n >= unit*unit*unit:
		return fmt.Sprintf("%.1f GB", float64(n)/(unit*unit*unit))
	case n >= unit*unit:
		return fmt.Sprintf("%.1f MB", float64(n)/(unit*unit))
	}
	return fmt.Sprintf("%d bytes", n)
}

var errNotWritable = errors.New("the weights are not there, and the cache cannot be written to: fill it, or use a claim that can be written")
