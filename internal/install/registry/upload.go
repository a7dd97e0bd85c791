package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// BeginUpload begins an upload and returns its address.
func (r *Registry) BeginUpload(ctx context.Context, repository string) (location string, err error) {
	response, err := r.send(ctx, exchange{method: http.MethodPost, url: "/v2/" + repository + "/blobs/uploads/", repository: repository})
	if err != nil {
		return "", err
	}
	defer connection.Drain(response)
	if response.StatusCode != http.StatusAccepted {
		return "", refuse(response)
	}
	return follow(response)
}

// HasBlob reports whether a repository has a blob.
func (r *Registry) HasBlob(ctx context.Context, repository, digest string) (bool, error) {
	response, err := r.send(ctx, exchange{method: http.MethodHead, url: "/v2/" + repository + "/blobs/" + digest, repository: repository})
	if err != nil {
		return false, err
	}
	connection.Drain(response)
	switch response.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusNotFound, http.StatusForbidden: // as some registries answer for what is not there
		return false, nil
	}
	return false, refuse(response)
}

// Mount asks for a blob that another repository has. A registry that cannot
// begins an upload instead, whose location it returns. A mount that is refused
// only costs the upload.
func (r *Registry) Mount(ctx context.Context, repository, digest, from string) (mounted bool, location string, err error) {
	response, err := r.send(ctx, exchange{method: http.MethodPost, repository: repository, mount: from,
		url: "/v2/" + repository + "/blobs/uploads/?mount=" + digest + "&from=" + strings.ReplaceAll(from, "/", "%2F")})
	if err != nil {
		return false, "", err
	}
	defer connection.Drain(response)
	switch response.StatusCode {
	case http.StatusCreated:
		return true, "", nil
	case http.StatusAccepted:
		if location, err := follow(response); err == nil {
			return false, location, nil
		}
	}
	return false, "", nil
}

// UploadStatus returns how many bytes of an upload the registry has, less than 0
// when it cannot say, and the upload's address from now on.
func (r *Registry) UploadStatus(ctx context.Context, repository, location string) (stored int64, next string, err error) {
	response, err := r.send(ctx, exchange{method: http.MethodGet, url: location, repository: repository})
	if err != nil {
		return 0, location, err
	}
	defer connection.Drain(response)
	if s := response.StatusCode; s == http.StatusTooManyRequests || s >= 500 {
		return 0, location, refuse(response)
	}
	stored, ok := rangeEnd(response)
	if !ok {
		return -1, location, nil
	}
	if next, err := follow(response); err == nil {
		location = next
	}
	return stored, location, nil
}

// rangeEnd reads how many bytes a registry has, from its answer's Range.
func rangeEnd(response *http.Response) (int64, bool) {
	if response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusAccepted {
		return 0, false
	}
	_, end, ok := strings.Cut(strings.TrimPrefix(response.Header.Get("Range"), "bytes="), "-")
	last, err := strconv.ParseInt(end, 10, 64)
	if !ok || err != nil || last < 0 {
		return 0, false
	}
	if last == 0 { // nothing, as registries write it
		return 0, true
	}
	return last + 1, true
}

// Chunk is a part of a blob on its way into an upload.
type Chunk struct {
	Repository string
	Location   string // of the upload
	Body       *Body  // nil for none
	Expect     bool   // the server is asked before bytes are sent
}

// exchange returns the request that sends the chunk.
func (c Chunk) exchange(method string) exchange {
	e := exchange{method: method, url: c.Location, repository: c.Repository, body: c.Body, header: http.Header{}}
	if c.Body == nil {
		return e
	}
	e.header.Set("Content-Type", "application/octet-stream")
	if c.Expect {
		e.header.Set("Expect", "100-continue")
	}
	return e
}

// expectTimeout is how long a server has to say that it takes the bytes; one
// that knows nothing of the question gets them then.
const expectTimeout = 2 * time.Second

// SendChunk adds a chunk to an upload and returns the upload's address from now
// on. What of a chunk was counted is taken back when it fails.
func (r *Registry) SendChunk(ctx context.Context, c Chunk) (next string, err error) {
	e := c.exchange(http.MethodPatch)
	e.header.Set("Content-Range", fmt.Sprintf("%d-%d", c.Body.at, c.Body.at+c.Body.size-1))
	response, err := r.send(ctx, e)
	if err != nil {
		c.Body.discard()
		return "", err
	}
	defer connection.Drain(response)
	if response.StatusCode != http.StatusAccepted {
		c.Body.discard()
		return "", refuse(response)
	}
	if next, err := follow(response); err == nil {
		return next, nil
	}
	return c.Location, nil
}

// commitRate is how many bytes a second a registry may be expected to move
// when it completes an upload: those on object storage copy the whole blob.
const commitRate = 5 << 20

// Complete ends the upload of a blob, with its last chunk if there is one.
func (r *Registry) Complete(ctx context.Context, c Chunk, blob bundle.Descriptor) error {
	e := c.exchange(http.MethodPut)
	e.answer = time.Duration(blob.Size/commitRate) * time.Second
	var err error
	if e.url, err = withDigest(c.Location, blob.Digest); err != nil {
		return err
	}
	response, err := r.send(ctx, e)
	if err == nil {
		defer connection.Drain(response)
		if response.StatusCode == http.StatusCreated || response.StatusCode == http.StatusNoContent {
			return nil
		}
		err = refuse(response)
	}
	if c.Body != nil {
		c.Body.discard()
	}
	return err
}

// follow returns the address that an answer's Location names.
func follow(response *http.Response) (string, error) {
	location := response.Header.Get("Location")
	if location == "" || response.Request == nil {
		return "", fault.Errorf(fault.CodeNetwork, "the registry began an upload and did not say where")
	}
	u, err := response.Request.URL.Parse(location)
	if err != nil {
		return "", fault.Wrap(err, fault.CodeNetwork, "the registry began an upload at no address")
	}
	return u.String(), nil
}

// withDigest adds the digest to an upload's address.
func withDigest(location, digest string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", fault.Wrap(err, fault.CodeNetwork, "the registry began an upload at no address")
	}
	query := u.Query()
	query.Set("digest", digest)
	u.RawQuery = query.Encode()
	return u.String(), nil
}
