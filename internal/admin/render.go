package admin

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/a-h/templ"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
)

// fragments are the parts of a page that htmx may ask for alone, by the id of
// the element they go into.
var fragments = map[string]bool{"layer": true, "results": true, "choices": true, "found": true}

// render writes a page or, when htmx asks for a part of it, that part with
// the page's title; when it fails, nothing.
func render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	var err error
	if part := fragment(r); part != "" && w.Header().Get("HX-Retarget") == "" {
		err = templ.RenderFragments(r.Context(), &b, c, "title", part)
	} else {
		err = c.Render(r.Context(), &b)
	}
	if err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the visitor is gone: nobody to tell
	return nil
}

// fragment is the part that the request asks for, "" for the whole page.
func fragment(r *http.Request) string {
	if r.Header.Get("HX-Request") != "true" || r.Header.Get("HX-History-Restore-Request") == "true" {
		return ""
	}
	if part := r.Header.Get("HX-Target"); fragments[part] {
		return part
	}
	return ""
}

// wholePage has the answer replace the page, whatever part was asked for.
func wholePage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("HX-Request") == "true" {
		w.Header().Set("HX-Retarget", "body")
		w.Header().Set("HX-Reswap", "innerHTML show:window:top")
	}
}

// redirect goes to another page of ours, after a form for example.
func redirect(w http.ResponseWriter, r *http.Request, target string) {
	if r.Header.Get("HX-Request") == "true" {
		w.Header().Set("HX-Redirect", target)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // callers give paths of ours only
}

// frame is what a page has around it.
func (s *server) frame(r *http.Request, title string, p control.Principal, trail ...component.Crumb) component.Frame {
	return component.Frame{
		Title: title, Section: "constellation", Username: p.Username, Role: string(p.Role), Trail: trail, Now: s.now(),
		Theme: theme(r), Here: r.URL.RequestURI(), Flash: flashOf(r),
	}
}
