package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/distribution/distribution/v3"
)

const (
	maxListed     = 1000 // in one answer, where the client says how many
	catalogListed = 100  // where neither it nor the settings do
)

// serveTags lists the tags of a repository, all of them where the client does
// not say how many.
func (g *Registry) serveTags(w http.ResponseWriter, q request) error {
	limit, err := listLimit(q, -1)
	if err != nil {
		return err
	}
	limit = min(limit, maxListed) // the Link leads to the rest
	repo, err := g.storage.named(q.Context(), q.route.repository)
	if err != nil {
		return err
	}
	tags, more := []string{}, false
	if limit != 0 {
		found, err := repo.Tags(q.Context()).List(q.Context(), limit, q.URL.Query().Get("last"))
		var unknown distribution.ErrRepositoryUnknown
		if errors.As(err, &unknown) {
			return ociErrorf(http.StatusNotFound, codeNameUnknown, "repository name not known to registry").with(map[string]string{"name": q.route.repository})
		}
		if err != nil && !errors.Is(err, io.EOF) { // which says that there are no more
			return g.fault(q.Context(), err)
		}
		tags, more = append(tags, found...), err == nil
	}
	writeList(w, q, map[string]any{"name": q.route.repository, "tags": tags}, limit, tags, more)
	return nil
}

// serveCatalog lists the repositories.
func (g *Registry) serveCatalog(w http.ResponseWriter, q request) error {
	limit, err := listLimit(q, g.catalogPage)
	if err != nil {
		return err
	}
	if limit > max(maxListed, g.catalogPage) {
		return wrongLimit(q)
	}
	names, more := []string{}, false
	if limit != 0 {
		if names, more, err = g.repositories(q.Context(), q.URL.Query().Get("last"), limit); err != nil {
			return g.fault(q.Context(), err)
		}
	}
	writeList(w, q, map[string]any{"repositories": names}, limit, names, more)
	return nil
}

// repositories returns a page of repositories, and whether there are more. The books
// know which are empty; until the storage was counted, it is asked itself.
func (g *Registry) repositories(ctx context.Context, after string, limit int) (names []string, more bool, err error) {
	names, known, err := g.control.CatalogPage(ctx, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if known {
		more = len(names) > limit
		return names[:min(limit, len(names))], more, nil
	}
	names = make([]string, limit)
	n, err := g.storage.namespace.Repositories(ctx, names, after)
	if err != nil && !errors.Is(err, io.EOF) && !isPathNotFound(err) { // of a registry that is empty still
		return nil, false, err
	}
	return names[:n], err == nil, nil
}

// listLimit is how many entries the client asks for.
func listLimit(q request, otherwise int) (int, error) {
	text := q.URL.Query().Get("n")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, wrongLimit(q)
	}
	return n, nil
}

func wrongLimit(q request) error {
	return ociErrorf(http.StatusBadRequest, codePagination, "invalid number of results requested").with(map[string]string{"n": shorten(q.URL.Query().Get("n"))})
}

// writeList sends a list, with a link to what follows its last entry.
func writeList(w http.ResponseWriter, q request, body map[string]any, limit int, entries []string, more bool) {
	if more && len(entries) > 0 {
		next := url.Values{"n": {strconv.Itoa(limit)}, "last": {entries[len(entries)-1]}}
		w.Header().Set("Link", "<"+q.route.path()+"?"+next.Encode()+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // nobody left to tell
}
