package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/loadtest"
)

// slow is a proxy before a registry, which counts the bytes of blobs that it sends and
// sends them slowly when it is told to.
type slow struct {
	sent  atomic.Int64
	pause atomic.Int64 // nanoseconds before each piece
	url   string
}

type slowWriter struct {
	http.ResponseWriter
	of *slow
}

func (w slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(w.of.pause.Load())) // what a slow line is
	n, err := w.ResponseWriter.Write(p)
	w.of.sent.Add(int64(n))
	return n, err
}

// TestImportSurvivesKill kills serve with SIGKILL half way through an import from a
// registry with a login, of CONSTELLATION_IMPORT_MB (64): the next server goes on there,
// and once the source is gone bundles work. The source is another mothership.
func TestImportSurvivesKill(t *testing.T) {
	megabytes := int64(64)
	if s := os.Getenv("CONSTELLATION_IMPORT_MB"); s != "" {
		var err error
		if megabytes, err = strconv.ParseInt(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CONSTELLATION_OUTBOUND_ALLOW", "127.0.0.1")
	source, target := newCrasher(t), newCrasher(t)
	from, endSource := source.serve(t)
	source.URL = from.url
	img, err := loadtest.RandomImage()
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		layer, err := plainLayer(megabytes << 20 / 4)
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	hash := strings.Repeat("5a", 20)
	ref, err := source.Reference(hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, source.Options(t.Context())...); err != nil {
		t.Fatal(err)
	}
	line := newSlow(t, from.url)
	line.pause.Store(int64(2 * time.Millisecond))

	to, kill := target.serve(t)
	target.URL = to.url
	call := func(method, path, body string, into any) {
		t.Helper()
		if status, err := target.Call(t.Context(), method, path, body, into); err != nil || status >= 300 {
			t.Fatalf("%s %s: %d, %v", method, path, status, err)
		}
	}
	host := strings.TrimPrefix(line.url, "http://")
	call("POST", "/v1/registries", `{"host":"`+host+`","plain_http":true,"username":"neo","password":"`+source.Key+`"}`, new(any))
	begun := time.Now()
	call("POST", "/v1/algorithms/neo/copy/versions", `{"git_hash":"`+hash+`","image":"`+host+"/"+ref.Context().RepositoryStr()+":"+hash+`"}`, new(any))
	version := func() (v apiv1.AlgorithmVersion) {
		call("GET", "/v1/algorithms/neo/copy/versions/"+hash, "", &v)
		return v
	}
	eventually(t, "half of the image to be there", func() bool {
		v := version()
		return v.Import.Bytes != nil && v.Import.BytesDone > *v.Import.Bytes/2
	})
	kill()
	half := line.sent.Load()
	line.pause.Store(0)
	to, kill = target.serve(t)
	target.URL = to.url
	eventually(t, "the image to be imported", func() bool { return version().State != "importing" })
	v := version()
	if v.State != "ready" {
		t.Fatalf("the version is %s: %+v", v.State, v.Import)
	}
	total := *v.Import.Bytes
	t.Logf("%d MB: killed after %d MB, %d MB came in all, ready after %s", total/1e6, half/1e6, line.sent.Load()/1e6, time.Since(begun).Round(time.Second))
	if sent := line.sent.Load(); sent > total+total/10+(4<<20) {
		t.Errorf("the source sent %d bytes of an image of %d: not all that had come was kept", sent, total)
	}
	endSource()
	target.imageIsWhole(t, "neo/copy:"+hash)
	target.bundleIsWhole(t, "neo/copy/"+hash)
	kill()
}

// imageIsWhole pulls an image.
func (c *crasher) imageIsWhole(t *testing.T, path string) {
	t.Helper()
	ref, err := name.ParseReference(strings.TrimPrefix(c.URL, "http://")+"/"+path, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, c.Options(t.Context())...)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("the image is not whole: %v", err)
	}
}

// bundleIsWhole makes a launch of an algorithm's version and pulls its bundle.
func (c *crasher) bundleIsWhole(t *testing.T, algorithm string) {
	t.Helper()
	var satellite apiv1.Satellite
	var launch apiv1.Launch
	body := `{"name":"imported","algorithms":[{"algorithm":"` + algorithm + `","vanity_url":"foo/bar","replicas":1}]}`
	if status, err := c.Call(t.Context(), "POST", "/v1/satellites", body, &satellite); err != nil || status != http.StatusCreated {
		t.Fatalf("make a satellite: %d, %v", status, err)
	}
	if status, err := c.Call(t.Context(), "POST", "/v1/satellites/"+satellite.ID+"/launches", `{"name":"first"}`, &launch); err != nil || status != http.StatusCreated {
		t.Fatalf("make a launch: %d, %v", status, err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(c.URL, "http://")+"/satellites/"+satellite.ID+":"+launch.ID, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, c.Options(t.Context())...)
	if err != nil && strings.Contains(err.Error(), "statically linked") {
		t.Log("the bundle was not pulled: this test binary, with cgo, makes no system image")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		if !m.MediaType.IsImage() || m.Platform == nil { // the plan
			continue
		}
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img); err != nil {
			t.Errorf("image %s of the bundle is not whole: %v", m.Digest, err)
		}
	}
}

func newSlow(t *testing.T, to string) *slow {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	s := &slow{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w = slowWriter{w, s}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}
