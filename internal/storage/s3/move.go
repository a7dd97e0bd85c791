package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// copySize is the most that one request copies within the store: more takes a
// store longer than a request may, and over 5 GiB none does.
const copySize = 256 << 20

// errNotCopied is a copy by parts that a store answered well and did not make.
var errNotCopied = errors.New("the object store copies no parts")

// Move implements driver.StorageDriver: a copy within the store, since S3 cannot
// rename.
func (d *Driver) Move(ctx context.Context, source, target string) error {
	if err := errors.Join(checkPath(source), checkPath(target)); err != nil {
		return err
	}
	info, err := d.store.StatObject(ctx, d.bucket, d.key(source), minio.StatObjectOptions{})
	if err != nil {
		return failed(source, err)
	}
	if info.Size > copySize {
		err = d.copyParts(ctx, d.key(source), d.key(target), info.Size)
	}
	if info.Size <= copySize || errors.Is(err, errNotCopied) {
		_, err = d.store.CopyObject(ctx, d.bucket, d.key(source), d.bucket, d.key(target), d.copied, minio.CopySrcOptions{}, minio.PutObjectOptions{})
	}
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", source, target, failed(source, err))
	}
	return d.remove(ctx, d.key(source))
}

// copyParts copies a large object in parts, and makes sure that it did: a store
// that does not know of copies by part takes the request for an empty part.
func (d *Driver) copyParts(ctx context.Context, source, target string, size int64) error {
	id, err := d.store.NewMultipartUpload(ctx, d.bucket, target, d.put)
	if err != nil {
		return err
	}
	parts := make([]minio.CompletePart, (size+copySize-1)/copySize)
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range parts {
		offset := int64(i) * copySize
		group.Go(func() (err error) {
			parts[i], err = d.store.CopyObjectPart(copying, d.bucket, source, d.bucket, target, id, i+1, offset, min(copySize, size-offset), nil)
			return err
		})
	}
	if err = group.Wait(); err == nil {
		_, err = d.store.CompleteMultipartUpload(ctx, d.bucket, target, id, parts, minio.PutObjectOptions{})
	}
	if err != nil {
		err = errors.Join(err, d.abort(context.WithoutCancel(ctx), target, id))
		var response minio.ErrorResponse
		if errors.As(err, &response) && (response.StatusCode < http.StatusInternalServerError || response.StatusCode == http.StatusNotImplemented) {
			return errors.Join(errNotCopied, err)
		}
		return err
	}
	info, err := d.store.StatObject(ctx, d.bucket, target, minio.StatObjectOptions{})
	if err == nil && info.Size != size {
		return errNotCopied
	}
	return err
}
