package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/web/component"
)

type flashKey struct{}

// takeFlash passes the line that the last form left to the next whole page, once.
func (s *server) takeFlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(flashCookie)
		if err != nil || r.Method != http.MethodGet || r.Header.Get("HX-Request") != "" || r.Header.Get("X-Live") != "" || r.URL.Path == "/live" {
			next.ServeHTTP(w, r)
			return
		}
		s.request(w, r).setCookie(&http.Cookie{Name: flashCookie, MaxAge: -1}) // ends it
		var f component.Flash
		data, err := base64.RawURLEncoding.DecodeString(cookie.Value)
		if err == nil && json.Unmarshal(data, &f) == nil {
			f.URL = ownPath(f.URL)
			r = r.WithContext(context.WithValue(r.Context(), flashKey{}, f))
		}
		next.ServeHTTP(w, r)
	})
}

func flashOf(r *http.Request) component.Flash {
	f, _ := r.Context().Value(flashKey{}).(component.Flash)
	return f
}

// ownPath returns a link of ours, or none.
func ownPath(path string) string {
	if path == "" || localPath(path) != path {
		return ""
	}
	return path
}

const themeCookie = "constellation_theme"

// theme returns the colours that the visitor chose, "" for the system's.
func theme(r *http.Request) string {
	if cookie, err := r.Cookie(themeCookie); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return ""
}

// setTheme keeps the colours for a year, and comes back.
func (s *server) setTheme(r *request) error {
	c := &http.Cookie{Name: themeCookie, MaxAge: -1}
	if chosen := r.PostForm.Get("theme"); chosen == "light" || chosen == "dark" {
		c.Value, c.Expires, c.MaxAge = chosen, s.now().Add(365*24*time.Hour), 365*24*3600
	}
	r.setCookie(c)
	r.redirect(localPath(r.PostForm.Get("back")))
	return nil
}
