// Command picture is a sample of files in and out: a form with a PNG or JPEG in
// its field "file" comes back as a PNG, its colours inverted or the picture
// turned.
//
//	curl -F file=@cat.jpg -H "Authorization: Bearer $KEY" \
//	  https://CLUSTER_DOMAIN/v1/algo/OWNER/picture/invert -o inverted.png
package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // decoded too
	"image/png"
	"io"
	"net/http"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

const (
	maxForm   = 64 << 20
	inMemory  = 8 << 20 // of a form; what is larger is in /tmp meanwhile
	maxPixels = 16 << 20
)

func main() { serve.HTTP("picture", routes()) }

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serve.Healthy)
	mux.HandleFunc("POST /invert", changed(inverted))
	mux.HandleFunc("POST /turn", changed(turned))
	return mux
}

// changed answers a form's picture with what change makes of it.
func changed(change func(image.Image) image.Image) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		in, err := read(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_ = png.Encode(w, change(in))
	}
}

// read returns the picture of a form, whose size is asked for before it is decoded.
func read(r *http.Request) (image.Image, error) {
	if err := r.ParseMultipartForm(inMemory); err != nil { //nolint:gosec // bounded by our caller
		return nil, fmt.Errorf("the body is no multipart/form-data: %w", err)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	file, _, err := r.FormFile("file")
	if err != nil {
		return nil, errors.New(`the form has no file in the field "file"`)
	}
	defer func() { _ = file.Close() }()
	size, _, err := image.DecodeConfig(file)
	if err != nil {
		return nil, errors.New("the file is neither PNG nor JPEG")
	}
	if size.Width*size.Height > maxPixels {
		return nil, fmt.Errorf("the picture has %d×%d pixels, at most %d are taken", size.Width, size.Height, maxPixels)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the file again: %w", err)
	}
	picture, _, err := image.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("decode the picture: %w", err)
	}
	return picture, nil
}

func inverted(in image.Image) image.Image {
	b := in.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := color.NRGBAModel.Convert(in.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			out.SetNRGBA(x, y, color.NRGBA{255 - c.R, 255 - c.G, 255 - c.B, c.A})
		}
	}
	return out
}

// turned is a quarter to the right.
func turned(in image.Image) image.Image {
	b := in.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dy(), b.Dx()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			out.Set(b.Dy()-1-y, x, in.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	return out
}
