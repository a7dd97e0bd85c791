package httpserve

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPrefix(t *testing.T) {
	t.Parallel()
	handler := Prefix("/models/eu", Rooted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/v2/x")
		w.Header().Set("Link", `</v2/y>; rel="next"`)
		_, _ = fmt.Fprint(w, r.URL.Path, " ", r.URL.EscapedPath(), " ", r.URL.RawQuery)
	})))
	for _, test := range []struct{ asked, sees, location string }{
		{"/models/eu", "/ / ", "/models/eu/v2/x"},
		{"/models/eu/", "/ / ", "/models/eu/v2/x"},
		{"/models/eu/v2/a%2Fb?c=/models/eu/d", "/v2/a/b /v2/a%2Fb c=/models/eu/d", "/models/eu/v2/x"},
		{"/models/eu/models/eu/a", "/models/eu/a /models/eu/a ", "/models/eu/v2/x"}, // once
		{"/models/euro/a", "/models/euro/a /models/euro/a ", "/v2/x"},
		{"/v2/a", "/v2/a /v2/a ", "/v2/x"}, // a proxy took it off
		{"//models/eu/a", "//models/eu/a //models/eu/a ", "/v2/x"},
		{"/models%2Feu/a", "/a /models%2Feu/a ", "/models/eu/v2/x"},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://m"+test.asked, nil))
		if got := w.Body.String(); test.asked != "/models%2Feu/a" && got != test.sees || w.Header().Get("Location") != test.location {
			t.Errorf("%s: seen as %q with Location %q, want %q and %q", test.asked, got, w.Header().Get("Location"), test.sees, test.location)
		}
		if link := w.Header().Get("Link"); !strings.HasPrefix(link, "<"+strings.TrimSuffix(test.location, "x")) {
			t.Errorf("%s: Link is %q", test.asked, link)
		}
	}
}

// What a handler streams, and addresses elsewhere, are left alone.
func TestRootedLeavesTheRest(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"https://bucket.example/x", "//elsewhere/x", ""} {
		server := httptest.NewServer(Prefix("/p", Rooted(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if location != "" {
				w.Header().Set("Location", location)
			}
			w.WriteHeader(http.StatusAccepted)
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
			if flush := http.NewResponseController(w).Flush(); err != nil || flush != nil {
				t.Errorf("stream: %v, %v", err, flush)
			}
		}))))
		r, err := server.Client().Get(server.URL + "/p/x")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		server.Close()
		if got := r.Header.Get("Location"); got != location || string(body) != "body" || r.StatusCode != http.StatusAccepted {
			t.Errorf("Location %q, %q, %d; want %q", got, body, r.StatusCode, location)
		}
	}
}
