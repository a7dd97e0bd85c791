package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many requests one operation on a folder makes side by side.
const atOnce = 8

// mostSkipped is how many objects of a folder that is skipped are read over
// before the listing is begun anew behind it.
const mostSkipped = 1000

// List implements driver.StorageDriver.
func (d *Driver) List(ctx context.Context, path string) ([]string, error) {
	if path != "/" {
		if err := checkPath(path); err != nil {
			return nil, err
		}
	}
	paths, found := []string{}, path == "/"
	for object := range d.store.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{Prefix: d.folder(path)}) {
		if object.Err != nil {
			return nil, failed(path, object.Err)
		}
		found = true
		if key := strings.TrimSuffix(object.Key, "/"); !isBeside(key) {
			paths = append(paths, d.path(key))
		}
	}
	if !found {
		return nil, driver.PathNotFoundError{Path: path, DriverName: driverName}
	}
	return paths, nil
}

// isBeside reports whether an object is of an upload and no content.
func isBeside(key string) bool {
	return strings.HasSuffix(key, resumeSuffix) || strings.HasSuffix(key, partsSuffix)
}

// Walk implements driver.StorageDriver. One listing of everything below is far
// cheaper than one for each folder.
func (d *Driver) Walk(ctx context.Context, from string, f driver.WalkFn, options ...func(*driver.WalkOptions)) error {
	var o driver.WalkOptions
	for _, option := range options {
		option(&o)
	}
	if from != "/" {
		if err := checkPath(from); err != nil {
			return err
		}
	}
	w := walk{driver: d, from: from, call: f, last: from}
	if o.StartAfterHint != "" {
		w.after, w.found = d.key(o.StartAfterHint), true
	}
	for again := true; again; {
		var err error
		if again, err = w.list(ctx); err != nil || !again {
			return err
		}
	}
	return nil
}

// walk is a Walk under way.
type walk struct {
	driver  *Driver
	from    string
	call    driver.WalkFn
	after   string // the listing begins behind this key
	last    string // the folder that was named last
	skipped string // the folder that is skipped
	over    int    // how many objects of it were read over
	found   bool
}

// list walks one listing, and reports whether another one follows.
func (w *walk) list(ctx context.Context) (again bool, err error) {
	for object := range w.driver.store.ListObjectsIter(ctx, w.driver.bucket, minio.ListObjectsOptions{
		Prefix: w.driver.folder(w.from), Recursive: true, StartAfter: w.after,
	}) {
		if object.Err != nil {
			return false, failed(w.from, object.Err)
		}
		w.found = true
		if isBeside(object.Key) || strings.HasSuffix(object.Key, "/") {
			continue
		}
		path := w.driver.path(object.Key)
		if w.skips(path) {
			if w.over++; w.over > mostSkipped {
				w.after = w.driver.folder(w.skipped) + "~" // behind all that a path can be
				w.skipped = ""
				return true, nil
			}
			continue
		}
		err := w.visit(path, object.Size, object.LastModified)
		if errors.Is(err, driver.ErrFilledBuffer) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	if !w.found {
		return false, driver.PathNotFoundError{Path: w.from, DriverName: driverName}
	}
	return false, nil
}

func (w *walk) skips(path string) bool {
	return w.skipped != "" && strings.HasPrefix(path, w.skipped+"/")
}

// visit names the folders above a file that were not named yet, then the file.
func (w *walk) visit(path string, size int64, modified time.Time) error {
	for _, above := range between(w.last, path) {
		w.last = above
		if err := w.call(folder(above)); errors.Is(err, driver.ErrSkipDir) {
			w.skipped, w.over = above, 0
			return nil
		} else if err != nil {
			return err
		}
	}
	err := w.call(file(path, size, modified))
	if errors.Is(err, driver.ErrSkipDir) {
		return nil
	}
	return err
}

// between returns the folders above path that are not above last, nor last
// itself, from the top down.
func between(last, path string) []string {
	var folders []string
	for i, r := range path {
		if r != '/' || i == 0 {
			continue
		}
		if above := path[:i]; above != last && !strings.HasPrefix(last+"/", above+"/") {
			folders = append(folders, above)
		}
	}
	return folders
}

// Delete implements driver.StorageDriver: a path with all below it, and the
// parts of uploads that were not completed there.
func (d *Driver) Delete(ctx context.Context, path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	found := false
	for object := range d.store.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{Prefix: d.key(path), Recursive: true}) {
		if object.Err != nil {
			return errors.Join(failed(path, object.Err), group.Wait())
		}
		key := object.Key
		if rest := strings.TrimPrefix(key, d.key(path)); rest != "" && rest[0] != '/' && rest != resumeSuffix && rest != partsSuffix {
			continue // another path that begins alike
		}
		found = true
		group.Go(func() error { return d.deleteObject(ctx, key) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	if !found {
		return driver.PathNotFoundError{Path: path, DriverName: driverName}
	}
	return nil
}

func (d *Driver) deleteObject(ctx context.Context, key string) error {
	if of, ok := strings.CutSuffix(key, partsSuffix); ok {
		id, err := d.object(ctx, key)
		if isMissing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(id) > 0 {
			if err := d.abort(ctx, of, string(id)); err != nil {
				return err
			}
		} else if err := d.dropOthers(ctx, of); err != nil { // it was not begun, or nobody came to note it
			return err
		}
	}
	return d.remove(ctx, key)
}
