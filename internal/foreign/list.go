package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/retry"
)

// Bounds of lists.
const (
	maxList      = 8 << 20 // bytes of a page
	maxPages     = 200
	maxReferrers = 200 // of one subject
	maxETag      = 256
)

// TagList is what a repository has of tags.
type TagList struct {
	Tags []string
	More bool   // there are more than were asked for
	ETag string // of the list, when it is of one page; "" is none
	Same bool   // it is what it was when it had the ETag that was given, and not read
}

// ListTags returns up to most tags of a repository, unless the list still has the ETag
// that is given.
func (r *Registry) ListTags(ctx context.Context, repository string, most int, etag string) (list TagList, err error) {
	what := "tag list of " + clip(repository)
	path := "/tags/list?n=1000"
	for n := range maxPages {
		var page struct {
			Tags []string `json:"tags"`
		}
		header, err := r.page(ctx, repository, path, what, etag, &page)
		if errors.Is(err, errSame) {
			return TagList{Same: true, ETag: etag}, nil
		}
		if err != nil {
			return TagList{}, err
		}
		for _, tag := range page.Tags {
			if len(list.Tags) == most {
				list.More = true
				return list, nil
			}
			list.Tags = append(list.Tags, tag)
		}
		path, err = r.next(repository, header, what)
		if err != nil {
			return TagList{}, err
		}
		if path == "" {
			if text := header.Get("ETag"); n == 0 && len(text) <= maxETag {
				list.ETag = text
			}
			return list, nil
		}
		etag = ""
	}
	list.More = true
	return list, nil
}

// Check asks the registry whether it is one, and lets us in.
func (r *Registry) Check(ctx context.Context) error {
	const what = "its API"
	response, err := r.get(ctx, "", "", what, nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // its status says it all
	if response.StatusCode != http.StatusOK {
		return r.refused(response, what)
	}
	return nil
}

// Referrers returns what has a manifest as its subject, by the registry's list or, of
// one without such lists, by the tag that stands for it.
func (r *Registry) Referrers(ctx context.Context, repository, digest string) ([]v1.Descriptor, error) {
	what := "list of what belongs to " + clip(digest)
	var index v1.Index
	path := "/referrers/" + digest
	var found []v1.Descriptor
	for pages := 0; path != ""; pages++ {
		index = v1.Index{}
		header, err := r.page(ctx, repository, path, what, "", &index)
		if unlisted(err) && pages == 0 {
			return r.tagged(ctx, repository, digest)
		}
		if err != nil {
			return nil, err
		}
		found = append(found, index.Manifests...)
		if len(found) > maxReferrers || pages == maxPages {
			return nil, retry.Permanent(constellation.Errorf(constellation.KindTooLarge, "more than %d manifests belong to %s, which is more than are imported with it", maxReferrers, clip(digest)))
		}
		if path, err = r.next(repository, header, what); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// tagged returns what the tag of a digest lists, as registries without a list of
// referrers have it.
func (r *Registry) tagged(ctx context.Context, repository, digest string) ([]v1.Descriptor, error) {
	m, err := r.Manifest(ctx, repository, strings.Replace(digest, ":", "-", 1))
	if IsUnknown(err) {
		return nil, nil
	}
	if err != nil || !m.IsIndex() {
		return nil, err
	}
	d, err := m.Document()
	if err != nil {
		return nil, err
	}
	if len(d.Manifests) > maxReferrers {
		return nil, retry.Permanent(constellation.Errorf(constellation.KindTooLarge, "more than %d manifests belong to %s, which is more than are imported with it", maxReferrers, clip(digest)))
	}
	return d.Manifests, nil
}

// IsUnknown reports whether a registry has not what it was asked for.
func IsUnknown(err error) bool { return constellation.KindOf(err) == constellation.KindNotFound }

// unlisted reports whether a registry seems to know no such list.
func unlisted(err error) bool { return err != nil && retry.IsPermanent(err) }

// errSame says that a list is still what it was.
var errSame = errors.New("not modified")

// page reads a page of a list, unless it still has the ETag that is given.
func (r *Registry) page(ctx context.Context, repository, path, what, etag string, into any) (http.Header, error) {
	header := http.Header{"Accept": {"application/json, " + v1.MediaTypeImageIndex}}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	response, err := r.get(ctx, repository, path, what, header)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
	if etag != "" && response.StatusCode == http.StatusNotModified {
		return nil, errSame
	}
	if response.StatusCode != http.StatusOK {
		return nil, r.refused(response, what)
	}
	body, err := r.readAll(response.Body, maxList, what)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, retry.Permanent(constellation.Wrap(err, constellation.KindInvalid, "%s answered the %s with no JSON: it is perhaps no registry", r.access.Host, what))
	}
	return response.Header, nil
}

// next returns where a list goes on, "" at its end. It goes on in its own repository
// and nowhere else.
func (r *Registry) next(repository string, header http.Header, what string) (string, error) {
	link := header.Get("Link")
	start, end := strings.IndexByte(link, '<'), strings.IndexByte(link, '>')
	if start != 0 || end < 0 || !strings.Contains(link[end:], "next") {
		return "", nil
	}
	base, err := url.Parse(r.base + "/v2/" + repository + "/tags/list")
	if err != nil {
		return "", err
	}
	u, err := base.Parse(link[1:end])
	prefix := "/v2/" + repository
	if err != nil || u.Host != base.Host || !strings.HasPrefix(u.Path, prefix+"/") {
		return "", retry.Permanent(constellation.Errorf(constellation.KindInvalid, "the %s of %s goes on at another place, %s", what, r.access.Host, strconv.Quote(clip(link))))
	}
	path := strings.TrimPrefix(u.EscapedPath(), prefix)
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, nil
}
