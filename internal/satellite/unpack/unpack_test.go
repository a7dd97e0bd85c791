package unpack_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/satellite/unpack"
	"github.com/constellation-serving/constellation/internal/weights"
)

// place is a registry with a door before it, through which each test sees what is
// asked for, and lets things go wrong.
type place struct {
	t      *testing.T
	server *httptest.Server
	host   string
	blobs  atomic.Int64                                      // bytes of blobs that were answered
	door   func(w http.ResponseWriter, r *http.Request) bool // true: it answered
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.door != nil && p.door(w, r) {
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			w = countingWriter{w, &p.blobs}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	p.host = strings.TrimPrefix(p.server.URL, "http://")
	return p
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c countingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (p *place) put(path, mediaType string, data []byte) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, p.server.URL+path, bytes.NewReader(data))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		p.t.Fatalf("PUT %s = %s", path, answer.Status)
	}
}

func (p *place) blob(data []byte) string {
	p.t.Helper()
	answer, err := http.Post(p.server.URL+"/v2/models/blobs/uploads/", "", nil) //nolint:noctx // a test's own server
	if err != nil {
		p.t.Fatal(err)
	}
	_ = answer.Body.Close()
	location := strings.TrimPrefix(answer.Header.Get("Location"), p.server.URL)
	p.put(location+"?digest="+digestOf(data), "application/octet-stream", data)
	return digestOf(data)
}

// layer is one of the weights that a test pushes: with a path a file.
type layer struct {
	path string
	data []byte
}

// push makes weights of layers, and returns what is to be fetched of them.
func (p *place) push(layers ...layer) unpack.Options {
	p.t.Helper()
	type descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	o := unpack.Options{Folder: p.t.TempDir(), Access: unpack.Access{Insecure: true}, Delay: func(int) time.Duration { return 0 }, Log: p.t.Logf}
	document := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, "application/vnd.oci.image.manifest.v1+json", descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: p.blob([]byte("{}")), Size: 2}, nil}
	for _, l := range layers {
		d := descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: p.blob(l.data), Size: len(l.data)}
		if l.path != "" {
			d.Annotations = map[string]string{"org.opencontainers.image.title": l.path}
		}
		document.Layers = append(document.Layers, d)
		o.Budget.Bytes += int64(len(l.data))
	}
	o.Budget.Files = 100
	manifest, err := json.Marshal(document)
	if err != nil {
		p.t.Fatal(err)
	}
	p.put("/v2/models/manifests/"+digestOf(manifest), document.MediaType, manifest)
	o.Image = p.host + "/models@" + digestOf(manifest)
	return o
}

func (p *place) tree(o unpack.Options) string {
	_, digest, _ := strings.Cut(o.Image, "@")
	return filepath.Join(o.Folder, unpack.Name(digest))
}

func random(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = source.Read(data) // never fails
	return data
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	a := tar.NewWriter(&b)
	for name, content := range files {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			header = &tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
			content = ""
		}
		if err := a.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(a, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, %v; want other %d", filepath.Base(path), len(got), err, len(want))
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	model := random(3 << 20)
	o := p.push(layer{"model/weights.bin", model}, layer{"", archiveOf(t, map[string]string{"vocab.txt": "a b", "latest": "-> vocab.txt"})})
	if err := unpack.Weights(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(p.tree(o), "model/weights.bin"), model)
	wantFile(t, filepath.Join(p.tree(o), "latest"), []byte("a b"))
	before := p.blobs.Load()
	if err := unpack.Weights(t.Context(), o); err != nil || p.blobs.Load() != before {
		t.Errorf("a second time = %v, and %d bytes were moved; want nil and none", err, p.blobs.Load()-before)
	}
	entries, err := os.ReadDir(o.Folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".part") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// TestWeightsResume breaks the connection, then ends the process, inside a file;
// what is there is not moved again.
func TestWeightsResume(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const whole, cut = 4 << 20, 3 << 20
	model := random(whole)
	o := p.push(layer{"a.bin", model})
	var ranges []string
	broken := 0
	p.door = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, digestOf(model)) || r.Method != http.MethodGet {
			return false
		}
		ranges = append(ranges, r.Header.Get("Range"))
		if broken++; broken > 1 {
			http.Error(w, "away", http.StatusForbidden) // nothing that another attempt mends
			return true
		}
		w.Header().Set("Content-Length", strconv.Itoa(whole))
		_, _ = w.Write(model[:cut])
		panic(http.ErrAbortHandler)
	}
	if err := unpack.Weights(t.Context(), o); err == nil || !strings.Contains(err.Error(), "403") {
		t.Fatalf("Weights = %v, want the refusal", err)
	}
	if _, err := os.Stat(p.tree(o)); err == nil {
		t.Error("the folder is there though its file is not whole")
	}
	p.door = nil
	p.blobs.Store(0)
	if err := unpack.Weights(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(p.tree(o), "a.bin"), model)
	if moved := p.blobs.Load(); moved > whole-cut+1<<20 {
		t.Errorf("after the break %d bytes were moved, want the last %d", moved, whole-cut)
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Errorf("the file was asked for by %q, want the rest the second time", ranges)
	}
}

// TestWeightsTogether has pods that share a cache: the weights move once.
func TestWeightsTogether(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	model := random(8 << 20)
	o := p.push(layer{"a.bin", model})
	var group errgroup.Group
	for range 4 {
		group.Go(func() error { return unpack.Weights(t.Context(), o) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(p.tree(o), "a.bin"), model)
	if moved := p.blobs.Load(); moved != int64(len(model)) {
		t.Errorf("%d bytes were moved, want %d, once", moved, len(model))
	}
}

func TestWeightsRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(p *place, o *unpack.Options)
		text  string
	}{
		"another blob": {func(p *place, _ *unpack.Options) {
			p.door = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, digestOf(random(1000))) {
					_, _ = w.Write(random(1001)[:1000])
					return true
				}
				return false
			}
		}, "where sha256:"},
		"another manifest": {func(p *place, _ *unpack.Options) {
			p.door = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/manifests/") {
					_, _ = io.WriteString(w, `{"schemaVersion":2}`)
					return true
				}
				return false
			}
		}, "where 127.0.0.1"},
		"none": {func(p *place, o *unpack.Options) {
			o.Image = p.host + "/models@sha256:" + strings.Repeat("0", 64)
		}, "404"},
		"more than was said":        {func(_ *place, o *unpack.Options) { o.Budget.Bytes = 999 }, weights.ErrTooManyBytes.Error()},
		"more files than were said": {func(_ *place, o *unpack.Options) { o.Budget.Files = 0 }, weights.ErrTooManyFiles.Error()},
		"no room":                   {func(_ *place, o *unpack.Options) { o.Budget.Bytes = 1 << 60 }, "are free where they are unpacked"},
		"plain HTTP":                {func(_ *place, o *unpack.Options) { o.Access.Insecure = false }, "stage.registry.insecure"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			o := p.push(layer{"a.bin", random(1000)})
			tt.spoil(p, &o)
			if err := unpack.Weights(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Weights = %v, want an error that says %q", err, tt.text)
			}
			if _, err := os.Stat(p.tree(o)); err == nil {
				t.Error("the folder is there")
			}
		})
	}
}

// TestWeightsLogin gets weights with the pull secret's login, and with no other.
func TestWeightsLogin(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	o := p.push(layer{"a.bin", random(1000)})
	p.door = func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "neo" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(w, "who?", http.StatusUnauthorized)
		return true
	}
	if err := unpack.Weights(t.Context(), o); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("without a login = %v, want a refusal", err)
	}
	o.Access.AuthFile = filepath.Join(t.TempDir(), "config.json")
	secret := fmt.Sprintf(`{"auths":{%q:{"username":"neo","password":"secret"}}}`, p.host)
	if err := os.WriteFile(o.Access.AuthFile, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Weights(t.Context(), o); err != nil {
		t.Errorf("with the login = %v", err)
	}
}
