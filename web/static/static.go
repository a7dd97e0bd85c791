// Package static is the panel's style sheets, scripts and icons, embedded and
// served compressed under names that change with their content.
//
// Every *.css is a part of the one style sheet app.css: base.css first, which
// orders the layers, then the others by name. htmx.min.js is htmx 2.0.10 as
// its npm package htmx.org has it (0BSD licence).
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed *.css *.svg *.js
var files embed.FS

// Modules are the scripts of every page, beside htmx.
var Modules = []string{"app.js", "combo.js", "typed.js", "palette.js", "live.js"}

// Stylesheet is the name of all style sheets in one.
const Stylesheet = "app.css"

// firstStyle orders the layers, so it comes before the others.
const firstStyle = "base.css"

type asset struct {
	name         string
	data, zipped []byte
}

// index returns the assets by URL and the URLs by name.
func index() (map[string]asset, map[string]string) {
	if d := disk.Load(); d != nil {
		return d.index()
	}
	return embedded()
}

// embedded is the index of what is embedded. It is computed once, when a page
// first needs it: the commands that serve none start without.
var embedded = sync.OnceValues(func() (map[string]asset, map[string]string) { return indexOf(files) })

func indexOf(files fs.FS) (map[string]asset, map[string]string) {
	read := func(name string) []byte {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			panic("read the assets: " + err.Error())
		}
		return data
	}
	names, err := assetNames(files)
	if err != nil {
		panic("read the assets: " + err.Error())
	}
	sources := map[string][]byte{Stylesheet: read(firstStyle)}
	for _, name := range names {
		switch {
		case name == firstStyle:
		case path.Ext(name) == ".css":
			sources[Stylesheet] = append(sources[Stylesheet], read(name)...)
		default:
			sources[name] = read(name)
		}
	}
	assets, addresses := map[string]asset{}, map[string]string{}
	for name, data := range sources {
		sum := sha256.Sum256(data)
		extension := path.Ext(name)
		url := "/static/" + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(sum[:6]) + extension
		assets[url] = asset{name, data, zip(data)}
		addresses[name] = url
	}
	return assets, addresses
}

// assetNames returns the names of the assets in a folder, in order.
func assetNames(files fs.FS) ([]string, error) {
	var names []string
	for _, pattern := range []string{"*.css", "*.js", "*.svg"} {
		found, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// zip compresses as well as gzip can: it happens once.
func zip(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("compress an embedded asset: " + err.Error())
	}
	return b.Bytes()
}

// URL returns where the asset of that name is served; it panics on a name that is
// not there, which every page's test would show.
func URL(name string) string {
	_, urls := index()
	url, ok := urls[name]
	if !ok {
		panic("no such asset: " + name)
	}
	return url
}

// Handler serves /static/…; an address never changes its content.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		byURL, _ := index()
		a, ok := byURL[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", mime.TypeByExtension(path.Ext(a.name)))
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		data := a.data
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			data = a.zipped
		}
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(data))
	})
}
