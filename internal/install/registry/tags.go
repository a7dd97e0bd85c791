package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/connection"
)

// PutSmall uploads a small blob in one piece.
func (r *Registry) PutSmall(ctx context.Context, repository, digest string, data []byte) error {
	location, err := r.BeginUpload(ctx, repository)
	if err != nil {
		return err
	}
	if location, err = withDigest(location, digest); err != nil {
		return err
	}
	response, err := r.send(ctx, exchange{method: http.MethodPut, url: location, repository: repository,
		header: http.Header{"Content-Type": {"application/octet-stream"}}, body: bodyOf(data)})
	if err != nil {
		return err
	}
	defer connection.Drain(response)
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusNoContent {
		return newRefusal(response)
	}
	return nil
}

// bodyOf is a small body that nobody counts.
func bodyOf(data []byte) *Body {
	return &Body{from: bytes.NewReader(data), size: int64(len(data))}
}

// ErrNoTags is a registry that does not list a repository's tags.
var ErrNoTags = errors.New("the registry does not list the tags of")

// mostTags is how many tags of a repository are looked at: more than this are
// not ours.
const mostTags = 50_000

// Tags lists a repository's tags; one that is not there has none.
func (r *Registry) Tags(ctx context.Context, repository string) ([]string, error) {
	var all []string
	for next := "/v2/" + repository + "/tags/list?n=1000"; next != ""; {
		page, after, err := r.tagsPage(ctx, repository, next)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(all) > mostTags {
			return nil, fmt.Errorf("%w %s to its end", ErrNoTags, repository)
		}
		next = after
	}
	return all, nil
}

func (r *Registry) tagsPage(ctx context.Context, repository, address string) (tags []string, next string, err error) {
	response, err := r.send(ctx, exchange{method: http.MethodGet, url: address, repository: repository})
	if err != nil {
		return nil, "", err
	}
	defer connection.Drain(response)
	switch s := response.StatusCode; {
	case s == http.StatusTooManyRequests, s >= 500:
		return nil, "", refuse(response)
	case s != http.StatusOK:
		refused := newRefusal(response)
		if s == http.StatusNotFound && refused.Code == "NAME_UNKNOWN" {
			return nil, "", nil
		}
		return nil, "", fmt.Errorf("%w %s: %w", ErrNoTags, repository, refused)
	}
	var page struct{ Tags []string }
	data, err := bundle.ReadManifest(response.Body)
	if err == nil {
		err = json.Unmarshal(data, &page)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%w %s: %w", ErrNoTags, repository, err)
	}
	if link, rest, ok := strings.Cut(response.Header.Get("Link"), ">"); ok && strings.Contains(rest, "next") {
		u, err := response.Request.URL.Parse(strings.TrimPrefix(link, "<"))
		if err != nil {
			return nil, "", fmt.Errorf("%w %s: %w", ErrNoTags, repository, err)
		}
		next = (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
	}
	return page.Tags, next, nil
}

// read gets a small thing of a repository, nil when it is not there.
func (r *Registry) read(ctx context.Context, repository, path string) ([]byte, error) {
	response, err := r.send(ctx, exchange{method: http.MethodGet, url: "/v2/" + repository + "/" + path, repository: repository,
		header: http.Header{"Accept": manifestTypes}})
	if err != nil {
		return nil, err
	}
	defer connection.Drain(response)
	switch response.StatusCode {
	case http.StatusOK:
		return bundle.ReadManifest(response.Body)
	case http.StatusNotFound:
		return nil, nil
	}
	return nil, refuse(response)
}
