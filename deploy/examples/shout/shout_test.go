package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestShout(t *testing.T) {
	server := httptest.NewServer(routes())
	defer server.Close()
	for _, test := range []struct {
		method, path, contentType, body string
		status                          int
		want                            string
	}{
		{"GET", "/healthz", "", "", 200, "ok\n"},
		{"POST", "/", "text/plain; charset=utf-8", "hé", 200, "HÉ"},
		{"POST", "/", "application/json", `{"a":["b",1]}`, 200, `{"shout":{"a":["B",1]}}` + "\n"},
		{"POST", "/", "application/json", `{`, 400, `{"error":{"message":"the body is not JSON"}}`},
		{"POST", "/", "image/png", `x`, 415, "shout reads text/plain and application/json\n"},
		{"GET", "/", "", "", 405, "Method Not Allowed\n"},
		{"POST", "/elsewhere", "text/plain", "x", 404, "404 page not found\n"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", test.contentType)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != test.status || string(got) != test.want {
			t.Errorf("%s %s %s = %d %q, %v, want %d %q", test.method, test.path, test.body, res.StatusCode, got, err, test.status, test.want)
		}
	}
}
