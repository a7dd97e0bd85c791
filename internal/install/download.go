package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// idleTimeout ends a transfer that no byte moves on.
const idleTimeout = 30 * time.Second

// progressBytes is what an attempt must have moved to be worth as many more
// attempts as the first: a bad line slows a large blob down and never ends it.
const progressBytes = 1 << 20

// downloader fetches the blobs of one launch.
type downloader struct {
	*mothership
	folder     Folder
	repository string
	transfer   *transfer
	journal    *journal
	idle       time.Duration
}

// part is where a blob's bytes are until they are all there; a later run goes
// on from them. Beside it lies the ETag that they belong to.
func (d *downloader) part(digest string) string { return d.folder.Path("work", hexOf(digest)+".part") }

// fetch gets one blob, hashed while it is written; to settle it is to sync it
// and to rename it to its place in the layout. Another launch's copy is
// linked, not fetched.
func (d *downloader) fetch(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
	linked, err := d.link(ctx, blob)
	if linked || err != nil {
		return nil, err
	}
	var file *os.File
	wrong := 0
	err = d.retry(ctx, "download "+short(blob.Digest), blobAttempts, func() (bool, error) {
		var moved int64
		var err error
		file, moved, err = d.attempt(ctx, blob)
		if errors.Is(err, errDigest) {
			if wrong++; wrong > 1 {
				err = final{err}
			}
		}
		if err != nil && !errors.As(err, new(final)) {
			d.transfer.width.trouble()
		}
		return moved >= progressBytes, err
	})
	if err != nil {
		return nil, err
	}
	return func() error { return d.place(blob, file) }, nil
}

func short(digest string) string { return hexOf(digest)[:min(12, len(hexOf(digest)))] }

// link takes a blob of another launch on this machine, if its bytes are still
// right; one that is damaged goes.
func (d *downloader) link(ctx context.Context, blob bundle.Descriptor) (bool, error) {
	shared := d.folder.shared(blob.Digest)
	if info, err := os.Stat(shared); err != nil || info.Size() != blob.Size {
		return false, nil
	}
	if err := verifyFile(ctx, shared, blob.Digest, nil); ctx.Err() != nil {
		return false, ctx.Err()
	} else if err != nil {
		_ = os.Remove(shared)
		return false, nil
	}
	if os.Link(shared, d.folder.blob(blob.Digest)) != nil {
		return false, nil
	}
	d.transfer.skip(blob.Size)
	return true, d.journal.note(blob.Digest)
}

// errDigest is a blob whose bytes are not those that its digest names.
var errDigest = errors.New("its bytes do not match its digest")

// attempt goes on from what is there and fetches the rest; it gives how many
// bytes came, and the file when it is whole.
func (d *downloader) attempt(ctx context.Context, blob bundle.Descriptor) (_ *os.File, moved int64, err error) {
	file, err := os.OpenFile(d.part(blob.Digest), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, 0, final{wrap(err, CodeFailed, "store blob %s", blob.Digest)}
	}
	if moved, err = d.complete(ctx, blob, file); err != nil {
		_ = file.Close() // what is in it is hashed by whoever goes on from it
		return nil, moved, err
	}
	return file, moved, nil
}

// complete is attempt on the open file.
func (d *downloader) complete(ctx context.Context, blob bundle.Descriptor, file *os.File) (int64, error) {
	sum := sha256.New()
	have, err := rehash(ctx, sum, file)
	if err != nil {
		return 0, final{wrap(err, CodeFailed, "read %s", file.Name())}
	}
	if have > blob.Size {
		if err := restart(file, sum); err != nil {
			return 0, err
		}
		have = 0
	}
	d.transfer.skip(have)
	written, err := d.rest(ctx, blob, file, sum, have)
	if err != nil {
		d.transfer.skip(-written)
		return written - have, err
	}
	if digest := "sha256:" + hex.EncodeToString(sum.Sum(nil)); digest != blob.Digest {
		d.transfer.skip(-written)
		return 0, errors.Join(wrap(errDigest, CodeIntegrity, "blob %s came as %s", blob.Digest, digest), restart(file, sum))
	}
	return written - have, nil
}

// rehash takes what an earlier run left into the sum.
func rehash(ctx context.Context, sum hash.Hash, file *os.File) (int64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
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
		return final{wrap(err, CodeFailed, "store %s", file.Name())}
	}
	return nil
}

// rest fetches the bytes from have on; it gives how many are there now.
func (d *downloader) rest(ctx context.Context, blob bundle.Descriptor, file *os.File, sum hash.Hash, have int64) (int64, error) {
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
		d.transfer.skip(-have)
		if err := restart(file, sum); err != nil {
			return 0, err
		}
		have = 0
		if response.StatusCode != http.StatusOK {
			return 0, errorf(CodeNetwork, "the mothership answered another range than the one asked for")
		}
	default:
		return have, d.refused(response)
	}
	d.remember(blob.Digest, response.Header.Get("ETag"))
	n, err := d.receive(file, sum, io.LimitReader(watch(response.Body, d.idle, cancel), blob.Size-have+1))
	have += n
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errIdle):
		return have, wrap(errIdle, CodeNetwork, "download %s", short(blob.Digest))
	case isDiskError(err):
		return have, final{wrap(err, CodeFailed, "store blob %s", blob.Digest)}
	case err != nil:
		return have, d.unreachable(ctx, err)
	case have < blob.Size:
		return have, errorf(CodeNetwork, "the mothership ended blob %s after %d of %d bytes", short(blob.Digest), have, blob.Size)
	}
	return have, nil
}

// receive writes and hashes a body, each byte once, in pieces that stay in the
// processor's cache between the two.
func (d *downloader) receive(file *os.File, sum hash.Hash, body io.Reader) (total int64, err error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	early := writeBack{file: file}
	for {
		n, readErr := body.Read(*buffer)
		if n > 0 {
			written, err := file.Write((*buffer)[:n])
			total += int64(written)
			early.wrote(written)
			d.transfer.add(int64(written))
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

// isDiskError tells a failed write from a failed read.
func isDiskError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

func (d *downloader) ask(ctx context.Context, blob bundle.Descriptor, have int64) (*http.Response, error) {
	kind, header := "blobs", http.Header{}
	if isManifest(blob.MediaType) {
		kind = "manifests"
		header.Set("Accept", blob.MediaType)
	}
	if etag, err := os.ReadFile(d.part(blob.Digest) + ".etag"); err == nil && have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		header.Set("If-Range", string(etag))
	}
	return d.get(ctx, "/v2/"+d.repository+"/"+kind+"/"+blob.Digest, header)
}

// remember keeps the ETag, strong ones only, for If-Range.
func (d *downloader) remember(digest, etag string) {
	if strings.HasPrefix(etag, `"`) {
		_ = os.WriteFile(d.part(digest)+".etag", []byte(etag), fileMode)
	}
}

func isManifest(mediaType string) bool {
	return strings.Contains(mediaType, "manifest") || strings.Contains(mediaType, "image.index")
}
