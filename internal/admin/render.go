package admin

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/web/component"
)

// fragments are the parts of a page that htmx may ask for alone, by the id of
// the element they go into.
var fragments = map[string]bool{"layer": true, "results": true, "choices": true, "found": true, "saving": true, "difference": true}

// render writes a page or, when htmx asks for a part of it, that part with
// the page's title; when it fails, nothing.
func (r *request) render(status int, c templ.Component) error {
	var b bytes.Buffer
	var err error
	if part := r.fragment(); part != "" && r.w.Header().Get("HX-Retarget") == "" {
		err = templ.RenderFragments(r.Context(), &b, c, "title", part)
	} else {
		err = c.Render(r.Context(), &b)
	}
	if err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(r.root.page(b.Bytes())) //nolint:gosec // templ has escaped it; the visitor is gone: nobody to tell
	return nil
}

// fragment returns the part that the request asks for, "" for the whole page.
func (r *request) fragment() string {
	if r.Header.Get("HX-Request") != "true" || r.Header.Get("HX-History-Restore-Request") == "true" {
		return ""
	}
	if part := r.Header.Get("HX-Target"); fragments[part] {
		return part
	}
	return ""
}

// wholePage has the answer replace the page, whatever part was asked for.
func (r *request) wholePage() {
	if r.Header.Get("HX-Request") == "true" {
		r.w.Header().Set("HX-Retarget", "body")
		r.w.Header().Set("HX-Reswap", "innerHTML show:window:top")
	}
}

// redirect goes to another page of ours, after a form for example.
func (r *request) redirect(target string) {
	if r.Header.Get("HX-Request") == "true" {
		r.w.Header().Set("HX-Redirect", r.root.seen(target))
		r.w.WriteHeader(http.StatusNoContent)
		return
	}
	r.goTo(target)
}

// tidied leaves out of an address what a search by labels was sent empty: a page is
// sent on, and a part of one keeps the short address, which is false.
func (r *request) tidied() bool {
	q := r.URL.Query()
	if r.Method != http.MethodGet || !q.Has("selector") || strings.TrimSpace(q.Get("selector")) != "" {
		return false
	}
	for name, values := range q {
		if values = slices.DeleteFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" }); len(values) > 0 {
			q[name] = values
		} else {
			delete(q, name)
		}
	}
	short := *r.URL
	short.RawQuery = q.Encode()
	if r.Header.Get("HX-Request") == "true" {
		r.w.Header().Set("HX-Replace-Url", r.root.seen(short.RequestURI()))
		return false
	}
	r.goTo(short.RequestURI())
	return true
}

// goTo sends a browser to a page of ours, whoever asks.
func (r *request) goTo(target string) {
	http.Redirect(r.w, r.Request, r.root.seen(target), http.StatusSeeOther) //nolint:gosec // callers give paths of ours only
}

// frame returns what a page has around it.
func (s *server) frame(r *request, title string, trail ...component.Crumb) component.Frame {
	return component.Frame{
		Title: title, Section: "constellation", Username: r.p.Username, Role: string(r.p.Role), Trail: trail, Now: s.now(),
		Theme: theme(r.Request), Here: r.URL.RequestURI(), Flash: flashOf(r.Request),
	}
}
