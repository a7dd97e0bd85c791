package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// TestFlash: what a form did is said by the next page, once, and not lost to
// what the page before it still fetches.
func TestFlash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://localhost:8080")
	ada := w.visitor("ada", constellation.RoleAdmin)
	w.visitor("grace", constellation.RoleViewer)
	const page = "/users/grace"
	token := w.token(page+"/sign-out", ada)
	sent := w.send("POST", page+"/sign-out", url.Values{"token": {token}}, ada)
	if len(sent.Cookies()) != 1 || sent.Cookies()[0].Name != flashCookie {
		t.Fatalf("the form was answered %d with %v", sent.StatusCode, sent.Cookies())
	}
	get := func(path string, header http.Header) (text string, cookies []*http.Cookie) {
		t.Helper()
		r := newRequest(t, "GET", path)
		r.AddCookie(ada)
		r.AddCookie(sent.Cookies()[0])
		for name := range header {
			r.Header.Set(name, header.Get(name))
		}
		answer := w.serve(r)
		return readAll(t, answer), answer.Cookies()
	}
	for _, part := range []struct {
		path   string
		header http.Header
	}{{"/static/favicon.svg", nil}, {page, http.Header{"X-Live": {"1"}}}, {page, http.Header{"Hx-Request": {"true"}}}} {
		if _, cookies := get(part.path, part.header); len(cookies) != 0 {
			t.Errorf("%s with %v takes %v", part.path, part.header, cookies)
		}
	}
	text, cookies := get(page, nil)
	if !strings.Contains(text, "The user is signed out everywhere.") || len(cookies) != 1 || cookies[0].MaxAge >= 0 {
		t.Errorf("the next page sets %v and says:\n%s", cookies, text)
	}
}
