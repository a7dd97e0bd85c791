package foreign

import (
	"context"
	"encoding/json"
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
)

// Tags returns up to most tags of a repository, and whether there are more.
func (r *Registry) Tags(ctx context.Context, repository string, most int) (tags []string, more bool, err error) {
	what := "tag list of " + clip(repository)
	path := "/tags/list?n=1000"
	for range maxPages {
		var page struct {
			Tags []string `json:"tags"`
		}
		header, err := r.page(ctx, repository, path, what, &page)
		if err != nil {
			return nil, false, err
		}
		for _, tag := range page.Tags {
			if len(tags) == most {
				return tags, true, nil
			}
			tags = append(tags, tag)
		}
		if path, err = r.next(repository, header, what); err != nil || path == "" {
			return tags, false, err
		}
	}
	return tags, true, nil
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
		header, err := r.page(ctx, repository, path, what, &index)
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

// page reads a page of a list.
func (r *Registry) page(ctx context.Context, repository, path, what string, into any) (http.Header, error) {
	response, err := r.get(ctx, repository, path, what, http.Header{"Accept": {"application/json, " + v1.MediaTypeImageIndex}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // only read
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
