package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// uploads returns the multipart uploads of a key that are neither completed nor dropped;
// none where the credentials lack the right to ask, or the store does not know.
func (d *Driver) uploads(ctx context.Context, key string) ([]string, error) {
	var ids []string
	for marker, upload := "", ""; ; {
		// Of exactly this key, since not every store lists those of a folder.
		list, err := d.store.ListMultipartUploads(ctx, d.bucket, key, marker, upload, "", 1000)
		var response minio.ErrorResponse
		if errors.As(err, &response) && (response.Code == minio.NoSuchUpload || // as some say where there are none
			response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusNotImplemented || response.StatusCode == http.StatusMethodNotAllowed) {
			return ids, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list uploads of %s: %w", key, err)
		}
		for _, one := range list.Uploads {
			if one.Key == key {
				ids = append(ids, one.UploadID)
			}
		}
		if !list.IsTruncated || list.NextKeyMarker != key { // keys that begin alike come behind
			return ids, nil
		}
		marker, upload = list.NextKeyMarker, list.NextUploadIDMarker
	}
}

// dropOthers drops what uploads a key has beside the one that made its content.
func (d *Driver) dropOthers(ctx context.Context, key string) error {
	ids, err := d.uploads(ctx, key)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.abort(ctx, key, id); err != nil {
			return fmt.Errorf("drop an upload of %s: %w", key, err)
		}
	}
	return nil
}

// DropUploads drops every upload of a path that is not completed, also one that goes
// on, and what is noted of them; the content at the path stays.
func (d *Driver) DropUploads(ctx context.Context, path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	key := d.key(path)
	if err := d.dropOthers(ctx, key); err != nil {
		return err
	}
	for _, suffix := range []string{partsSuffix, resumeSuffix} { // by the ID that is noted too
		if err := d.deleteObject(ctx, key+suffix); err != nil && !isMissing(err) {
			return fmt.Errorf("forget the uploads of %s: %w", path, err)
		}
	}
	return nil
}

// EachUpload calls f with the paths below one that have uploads which were not
// completed, and when those were begun or put down last.
func (d *Driver) EachUpload(ctx context.Context, below string, f func(path string, at time.Time) error) error {
	last := ""
	for object := range d.store.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{Prefix: d.folder(below), Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		of, _, _ := strings.Cut(object.Key, "~")
		if !isBeside(object.Key) || of == last { // its other object came before
			continue
		}
		last = of
		if err := f(d.path(of), object.LastModified); err != nil {
			return err
		}
	}
	return nil
}
