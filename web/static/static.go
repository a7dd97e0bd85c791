// Package static is the panel's style sheet and icons, embedded and served
// under names that change with their content.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed *.css *.svg
var files embed.FS

type asset struct {
	name string
	data []byte
}

// byURL and urls are computed once, from what is embedded.
var byURL, urls = index()

func index() (map[string]asset, map[string]string) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic("read the embedded assets: " + err.Error())
	}
	assets, addresses := map[string]asset{}, map[string]string{}
	for _, entry := range entries {
		data, err := files.ReadFile(entry.Name())
		if err != nil {
			panic("read the embedded assets: " + err.Error())
		}
		sum := sha256.Sum256(data)
		extension := path.Ext(entry.Name())
		url := "/static/" + strings.TrimSuffix(entry.Name(), extension) + "." + hex.EncodeToString(sum[:6]) + extension
		assets[url] = asset{entry.Name(), data}
		addresses[entry.Name()] = url
	}
	return assets, addresses
}

// URL is where the asset of that name is served; it panics on a name that is
// not embedded, which every page's test would show.
func URL(name string) string {
	url, ok := urls[name]
	if !ok {
		panic("no such asset: " + name)
	}
	return url
}

// Handler serves /static/…; an address never changes its content.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := byURL[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(a.name)))
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
	})
}
