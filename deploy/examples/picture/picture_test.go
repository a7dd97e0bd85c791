package main

import (
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
)

func TestPicture(t *testing.T) {
	server := httptest.NewServer(http.StripPrefix("/demo/picture", routes()))
	defer server.Close()
	in := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	in.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 255})
	for path, want := range map[string]struct {
		size, at image.Point
		colour   color.NRGBA
	}{
		"/invert": {image.Pt(3, 2), image.Pt(0, 0), color.NRGBA{245, 235, 225, 255}},
		"/turn":   {image.Pt(2, 3), image.Pt(1, 0), color.NRGBA{10, 20, 30, 255}},
	} {
		out, err := callers.Caller{Base: server.URL}.Picture(t.Context(), "demo/picture", path, in)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := color.NRGBAModel.Convert(out.At(want.at.X, want.at.Y)); out.Bounds().Size() != want.size || got != want.colour {
			t.Errorf("%s gives %v with %v at %v, want %v with %v", path, out.Bounds().Size(), got, want.at, want.size, want.colour)
		}
	}
}

func TestRefuses(t *testing.T) {
	const form = "multipart/form-data; boundary=b"
	for _, test := range []struct{ contentType, body, want string }{
		{"text/plain", "x", "no multipart/form-data"},
		{form, "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n", `no file in the field "file"`},
		{form, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nx\r\n--b--\r\n", "neither PNG nor JPEG"},
		{form, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nx", "no multipart/form-data"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/invert", strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.contentType)
		w := httptest.NewRecorder()
		routes().ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%q = %d %s, want 400 …%s…", test.body, w.Code, w.Body, test.want)
		}
	}
}
