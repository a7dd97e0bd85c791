package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/mothership"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/retry"
)

// progressBytes is what an attempt must have moved to be worth as many more
// attempts as the first: a bad line slows a large blob down and never ends it.
const progressBytes = 1 << 20

// Downloader fetches the blobs of one launch.
type Downloader struct {
	*mothership.Client
	Retrier
	*store.BlobWriter
	Repository string // of the bundle, in the mothership's registry
	Stall      time.Duration
	Report     *progress.Reporter

	transfer *progress.Transfer
	limiter  *limiter
}

// Download fetches blobs, of so many bytes together, and returns how many bytes
// came over the network.
func (d *Downloader) Download(ctx context.Context, blobs []bundle.Descriptor, size int64) (moved int64, err error) {
	d.limiter = newLimiter()
	d.transfer = d.Report.Transfer("download", len(blobs), size, d.limiter.onRate)
	err = moveAll(ctx, "downloaded", d.transfer, d.limiter, blobs, d.fetch)
	d.transfer.End()
	return d.transfer.Moved(), err
}

// fetch gets one blob, hashed while it is written; to settle it is to sync it
// and to rename it to its place in the layout. Another launch's copy is
// linked, not fetched.
func (d *Downloader) fetch(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
	linked, err := d.Link(ctx, blob)
	if linked {
		d.transfer.Skip(blob.Size)
	}
	if linked || err != nil {
		return nil, err
	}
	var file *os.File
	wrong := 0
	err = d.Do(ctx, "download "+constellation.ShortHash(blob.Digest), BlobAttempts, func() error {
		var moved int64
		var err error
		file, moved, err = d.attempt(ctx, blob)
		if errors.Is(err, errDigest) {
			if wrong++; wrong > 1 {
				err = retry.Permanent(err)
			}
		}
		if err != nil && !retry.IsPermanent(err) {
			d.limiter.backOff()
		}
		if moved >= progressBytes {
			err = retry.Progressed(err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() error { return d.CommitFile(blob, file) }, nil
}

// errDigest is a blob whose bytes are not those that its digest names.
var errDigest = errors.New("its bytes do not match its digest")

// attempt goes on from what is there and fetches the rest; it gives how many
// bytes came, and the file when it is whole.
func (d *Downloader) attempt(ctx context.Context, blob bundle.Descriptor) (_ *os.File, moved int64, err error) {
	file, err := d.OpenPart(blob.Digest)
	if err != nil {
		return nil, 0, retry.Permanent(err)
	}
	if moved, err = d.complete(ctx, blob, file); err != nil {
		_ = file.Close() // what is in it is hashed by whoever goes on from it
		return nil, moved, err
	}
	return file, moved, nil
}

// complete is attempt on the open file.
func (d *Downloader) complete(ctx context.Context, blob bundle.Descriptor, file *os.File) (int64, error) {
	sum := sha256.New()
	have, err := rehash(ctx, sum, file)
	if err != nil {
		return 0, retry.Permanent(fault.Wrap(err, fault.CodeFailed, "read %s", file.Name()))
	}
	if have > blob.Size {
		if err := restart(file, sum); err != nil {
			return 0, err
		}
		have = 0
	}
	d.transfer.Skip(have)
	written, err := d.rest(ctx, blob, file, sum, have)
	if err != nil {
		d.transfer.Skip(-written)
		return written - have, err
	}
	if digest := "sha256:" + hex.EncodeToString(sum.Sum(nil)); digest != blob.Digest {
		d.transfer.Skip(-written)
		return 0, errors.Join(fault.Wrap(errDigest, fault.CodeIntegrity, "blob %s came as %s", blob.Digest, digest), restart(file, sum))
	}
	return written - have, nil
}

// rehash takes what an earlier run left into the sum.
func rehash(ctx context.Context, sum hash.Hash, file *os.File) (int64, error) {
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	var have int64
	for {
		n, err := file.Read(*buffer)
		sum.Write((*buffer)[:n])
		have += int64(n)
		switch {
		case err == io.EOF:
			return have, nil
		case err != nil:
			return have, err
		case ctx.Err() != nil:
			return have, ctx.Err()
		}
	}
}

func restart(file *os.File, sum hash.Hash) error {
	sum.Reset()
	_, err := file.Seek(0, io.SeekStart)
	if err = errors.Join(err, file.Truncate(0)); err != nil {
		return retry.Permanent(fault.Wrap(err, fault.CodeFailed, "store %s", file.Name()))
	}
	return nil
}

// rest fetches the bytes from have on; it gives how many are there now.
func (d *Downloader) rest(ctx context.Context, blob bundle.Descriptor, file *os.File, sum hash.Hash, have int64) (int64, error) {
	if have == blob.Size && blob.Size > 0 {
		return have, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	response, err := d.ask(ctx, blob, have)
	if err != nil {
		return have, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	switch {
	case response.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case response.StatusCode == http.StatusOK, response.StatusCode == http.StatusPartialContent,
		response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		d.transfer.Skip(-have)
		if err := restart(file, sum); err != nil {
			return 0, err
		}
		have = 0
		if response.StatusCode != http.StatusOK {
			return 0, fault.Errorf(fault.CodeNetwork, "the mothership answered another range than the one asked for")
		}
	default:
		return have, d.Refused(response)
	}
	d.RememberETag(blob.Digest, response.Header.Get("ETag"))
	n, err := d.receive(file, sum, io.LimitReader(connection.NewStallReader(response.Body, d.Stall, cancel), blob.Size-have+1))
	have += n
	switch {
	case err != nil && errors.Is(context.Cause(ctx), connection.ErrStalled):
		return have, fault.Wrap(connection.ErrStalled, fault.CodeNetwork, "download %s", constellation.ShortHash(blob.Digest))
	case store.IsDiskError(err):
		return have, retry.Permanent(fault.Wrap(err, fault.CodeFailed, "store blob %s", blob.Digest))
	case err != nil:
		return have, d.Unreachable(ctx, err)
	case have < blob.Size:
		return have, fault.Errorf(fault.CodeNetwork, "the mothership ended blob %s after %d of %d bytes", constellation.ShortHash(blob.Digest), have, blob.Size)
	}
	return have, nil
}

// pieces are for bytes on their way.
var pieces = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// receive writes and hashes a body, each byte once, in pieces that stay in the
// processor's cache between the two.
func (d *Downloader) receive(file *os.File, sum hash.Hash, body io.Reader) (total int64, err error) {
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	early := store.WriteBack{File: file}
	for {
		n, readErr := body.Read(*buffer)
		if n > 0 {
			written, err := file.Write((*buffer)[:n])
			total += int64(written)
			early.Wrote(written)
			d.transfer.Add(int64(written))
			if err != nil {
				return total, err
			}
			sum.Write((*buffer)[:n])
		}
		if readErr == io.EOF {
			return total, nil
		}
		if readErr != nil {
			return total, readErr
		}
	}
}

func (d *Downloader) ask(ctx context.Context, blob bundle.Descriptor, have int64) (*http.Response, error) {
	kind, header := "blobs", http.Header{}
	if store.IsManifest(blob.MediaType) {
		kind = "manifests"
		header.Set("Accept", blob.MediaType)
	}
	if etag := d.PartETag(blob.Digest); etag != "" && have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		header.Set("If-Range", etag)
	}
	return d.Content(ctx, "/v2/"+d.Repository+"/"+kind+"/"+blob.Digest, header)
}
