package install

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// settle is how long an upload must have stood still to be gone on with: the
// registry may still be storing what a connection held that has ended.
const settle = 100 * time.Millisecond

// ask finds out how much of a begun upload the registry has. What it does not
// know any more, or cannot say, is begun again.
func (j *upload) ask(ctx context.Context) error {
	for before := int64(-1); ; {
		stored, err := j.status(ctx)
		if err != nil {
			return err
		}
		if stored < 0 || stored > j.blob.Size {
			j.lost()
			return nil
		}
		j.transfer.skip(stored - j.stored)
		j.stored = stored
		if stored == before {
			return nil
		}
		before = stored
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settle):
		}
	}
}

// status gives the bytes that the registry has, less than 0 when it cannot
// say.
func (j *upload) status(ctx context.Context) (int64, error) {
	response, err := j.send(ctx, exchange{method: http.MethodGet, url: j.location, repository: j.repository})
	if err != nil {
		return 0, err
	}
	defer drain(response)
	if s := response.StatusCode; s == http.StatusTooManyRequests || s >= 500 {
		return 0, laterRefusal(response)
	}
	stored, ok := rangeEnd(response)
	if !ok {
		return -1, nil
	}
	if location, err := follow(response); err == nil {
		j.location = location
	}
	return stored, nil
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
