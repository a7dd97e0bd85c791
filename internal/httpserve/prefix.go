package httpserve

import (
	"context"
	"io"
	"net/http"
	"strings"
)

type prefixKey struct{}

// Prefix serves next below a path prefix such as "/models", as a proxy passes
// requests on: with the prefix, which is taken off here, or without it. prefix
// begins with a slash and ends with none; "" is none.
func Prefix(prefix string, next http.Handler) http.Handler {
	if prefix == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, prefix)
		if !ok || rest != "" && rest[0] != '/' {
			next.ServeHTTP(w, r)
			return
		}
		below := r.WithContext(context.WithValue(r.Context(), prefixKey{}, prefix))
		address := *r.URL
		address.Path = "/" + strings.TrimPrefix(rest, "/")
		if address.RawPath != "" { // the prefix itself needs no escapes
			address.RawPath = "/" + strings.TrimPrefix(strings.TrimPrefix(address.RawPath, prefix), "/")
		}
		below.URL = &address
		next.ServeHTTP(w, below)
	})
}

// Rooted has what next names in Location and Link lie where the request's own
// address does: below the prefix when the request came with it. It is for handlers
// that name paths of their own and do not know of prefixes.
func Rooted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if prefix, _ := r.Context().Value(prefixKey{}).(string); prefix != "" {
			w = &rooted{ResponseWriter: w, prefix: prefix}
		}
		next.ServeHTTP(w, r)
	})
}

// rooted puts a prefix before the paths in an answer's header.
type rooted struct {
	http.ResponseWriter
	prefix string
	begun  bool
}

// WriteHeader implements http.ResponseWriter.
func (w *rooted) WriteHeader(status int) {
	if !w.begun && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		w.begun = true
		h := w.Header()
		if at := h.Get("Location"); strings.HasPrefix(at, "/") && !strings.HasPrefix(at, "//") {
			h.Set("Location", w.prefix+at)
		}
		if link := h.Get("Link"); strings.HasPrefix(link, "</") {
			h.Set("Link", "<"+w.prefix+link[1:])
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *rooted) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom, so that files go out as they do without us.
func (w *rooted) ReadFrom(r io.Reader) (int64, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Unwrap is for http.ResponseController.
func (w *rooted) Unwrap() http.ResponseWriter { return w.ResponseWriter }
