package importer_test

import (
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	foreignregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/importer"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/retry"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// world is a mothership without a front: a database, storage, and servers that do
// imports.
type world struct {
	t       *testing.T
	db      *postgres.DB
	storage *registry.Storage
	control *control.Service
	admin   control.Principal
	free    atomic.Int64 // bytes on the disk; 0 is not known
	allow   []string
}

func newWorld(t *testing.T, allow ...string) *world {
	t.Helper()
	w := &world{t: t, db: postgrestest.New(t), admin: control.Principal{Username: "Admin", Role: constellation.RoleAdmin}, allow: allow}
	if allow == nil {
		w.allow = []string{"127.0.0.1"}
	}
	var err error
	if w.storage, err = registry.OpenStorage(t.Context(), registry.FilesystemStorage(t.TempDir()), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.storage.Close() })
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.NewQueue(w.db)
	if err != nil {
		t.Fatal(err)
	}
	w.control = control.New(control.Options{
		DB: w.db, Sealer: sealer, Content: w.storage, Store: w.storage, PublicURL: "https://mothership.example.com", Version: "v0.0.1",
		StartImport: func(ctx context.Context, db *postgres.DB, versionID string, generation int) error {
			_, err := queue.Insert(ctx, db, importer.Job{VersionID: versionID, Generation: generation}, nil)
			return err
		},
		StartPoll: func(ctx context.Context, db *postgres.DB, mirrorID string, round int) error {
			_, err := queue.Insert(ctx, db, importer.MirrorJob{MirrorID: mirrorID, Round: round}, nil)
			return err
		},
		FreeSpace: func(context.Context) (int64, bool) { return w.free.Load(), w.free.Load() > 0 },
	})
	return w
}

// serve starts a server that does imports, until the test ends or stop is called.
func (w *world) serve() (stop func()) {
	w.t.Helper()
	allowed, err := outbound.ParseAllowed(w.allow)
	if err != nil {
		w.t.Fatal(err)
	}
	set := &jobs.Set{}
	importer.New(importer.Options{
		Control: w.control, Storage: w.storage, Allowed: allowed, Backoff: retry.Backoff{First: 10 * time.Millisecond, Most: 50 * time.Millisecond},
		Stall: 2 * time.Second, Note: 20 * time.Millisecond, Soon: 50 * time.Millisecond, Log: slog.New(slog.NewTextHandler(testLog{w.t}, nil)),
	}).AddJobs(set)
	runner, err := jobs.Start(w.t.Context(), jobs.Config{DB: w.db, Set: set, Version: "v0.0.1"})
	if err != nil {
		w.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), 30*time.Second)
		defer cancel()
		if err := runner.Stop(ctx); err != nil {
			w.t.Errorf("stop jobs: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func hash(n int) string { return fmt.Sprintf("%040x", n) }

func (w *world) ask(image string, n int) *constellation.AlgorithmVersion {
	w.t.Helper()
	v, _, err := w.control.ImportVersion(w.t.Context(), w.admin, control.ImportRequest{Ref: ref(n), Image: image})
	if err != nil {
		w.t.Fatalf("ImportVersion(%s): %v", image, err)
	}
	return v
}

func ref(n int) constellation.AlgorithmRef {
	return constellation.AlgorithmRef{Owner: "Neo", Name: "hello", Hash: hash(n)}
}

func (w *world) version(n int) *constellation.AlgorithmVersion {
	w.t.Helper()
	v, err := w.control.GetAlgorithmVersion(w.t.Context(), w.admin, ref(n))
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// until waits for what holds of a version.
func (w *world) until(n int, what string, holds func(*constellation.AlgorithmVersion) bool) *constellation.AlgorithmVersion {
	w.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		v := w.version(n)
		if holds(v) {
			return v
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("after two minutes version %d is not %s, but %s: %+v", n, what, v.State, v.Import)
		}
		time.Sleep(10 * time.Millisecond) // a poll, with an end
	}
}

func (w *world) ready(n int) *constellation.AlgorithmVersion {
	w.t.Helper()
	v := w.until(n, "ended", func(v *constellation.AlgorithmVersion) bool { return v.State != constellation.VersionImporting })
	if v.State != constellation.VersionReady {
		w.t.Fatalf("version %d is %s: %s", n, v.State, v.Import.Error)
	}
	return v
}

func (w *world) failed(n int) *constellation.AlgorithmVersion {
	w.t.Helper()
	v := w.until(n, "ended", func(v *constellation.AlgorithmVersion) bool { return v.State != constellation.VersionImporting })
	if v.State != constellation.VersionFailed {
		w.t.Fatalf("version %d is %s, want it failed", n, v.State)
	}
	return v
}

// whole checks that all that an image needs is here.
func (w *world) whole(repository, digest string) {
	w.t.Helper()
	body, err := w.storage.Manifest(w.t.Context(), repository, digest)
	if err != nil {
		w.t.Fatal(err)
	}
	if index, err := v1.ParseIndexManifest(strings.NewReader(string(body))); err == nil && len(index.Manifests) > 0 {
		for _, m := range index.Manifests {
			w.whole(repository, m.Digest.String())
		}
		return
	}
	m, err := v1.ParseManifest(strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		blob, size, err := w.storage.Blob(w.t.Context(), repository, d.Digest.String())
		if err != nil || size != d.Size {
			w.t.Fatalf("blob %s of %s: %d bytes, %v, want %d", d.Digest, repository, size, err, d.Size)
		}
		hash, _, err := v1.SHA256(blob)
		_ = blob.Close()
		if err != nil || hash != d.Digest {
			w.t.Fatalf("blob %s of %s has the digest %s, %v", d.Digest, repository, hash, err)
		}
	}
}

// source is a registry elsewhere, of which a test sees and changes what it answers.
type source struct {
	t      *testing.T
	server *httptest.Server
	host   string
	login  string // "user:password", "" for none

	mu       sync.Mutex
	requests []string
	fetched  map[string]int64 // bytes of blobs that were sent
	handle   func(w http.ResponseWriter, r *http.Request, inner http.Handler)
}

func newSource(t *testing.T, login string) *source { return startSource(t, login, false) }

func startSource(t *testing.T, login string, tls bool) *source {
	s := &source{t: t, login: login, fetched: map[string]int64{}}
	inner := foreignregistry.New(foreignregistry.WithReferrersSupport(true), foreignregistry.Logger(log.New(io.Discard, "", 0)))
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); s.login != "" && user+":"+password != s.login {
			rw.Header().Set("WWW-Authenticate", `Basic realm="source"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
		handle := s.handle
		s.mu.Unlock()
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			rw = &counted{rw, s, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]}
		}
		if handle != nil {
			handle(rw, r, ranged(inner))
			return
		}
		ranged(inner).ServeHTTP(rw, r)
	})
	if tls {
		s.server = httptest.NewTLSServer(handler)
	} else {
		s.server = httptest.NewServer(handler)
	}
	t.Cleanup(s.server.Close)
	s.host = s.server.Listener.Addr().String()
	return s
}

// ranged gives blobs from any byte on, as registries do.
func ranged(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" || !strings.Contains(r.URL.Path, "/blobs/") {
			inner.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		plain := r.Clone(r.Context())
		plain.Header.Del("Range")
		inner.ServeHTTP(whole, plain)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(whole.Body.String()))
	})
}

type counted struct {
	http.ResponseWriter
	source *source
	digest string
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.source.mu.Lock()
	defer c.source.mu.Unlock()
	c.source.fetched[c.digest] += int64(n)
	return n, err
}

func (s *source) answer(handle func(w http.ResponseWriter, r *http.Request, inner http.Handler)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

func (s *source) sent() (total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.fetched {
		total += n
	}
	return total
}

func (s *source) asked(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// add makes the source a registry that the mothership knows, with its login.
func (s *source) add(w *world) {
	s.t.Helper()
	user, password, _ := strings.Cut(s.login, ":")
	plain, ca := true, ""
	if c := s.server.Certificate(); c != nil {
		plain, ca = false, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	change := control.RegistryChange{PlainHTTP: &plain, CA: &ca}
	if user != "" {
		change.Username, change.Password = &user, &password
	}
	if _, err := w.control.CreateForeignRegistry(s.t.Context(), w.admin, s.host, change); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) options() []remote.Option {
	user, password, _ := strings.Cut(s.login, ":")
	return []remote.Option{remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: user, Password: password})), remote.WithTransport(s.server.Client().Transport)}
}

func (s *source) ref(path string) name.Reference {
	s.t.Helper()
	ref, err := name.ParseReference(s.host+"/"+path, name.Insecure)
	if err != nil {
		s.t.Fatal(err)
	}
	return ref
}

func (s *source) push(path string, image v1.Image) string {
	s.t.Helper()
	if err := remote.Write(s.ref(path), image, s.options()...); err != nil {
		s.t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return digest.String()
}

// image is an image for linux/amd64, of layers of random content.
func image(t *testing.T, size int64, layers int, labels map[string]string) v1.Image {
	t.Helper()
	img, err := random.Image(size, int64(layers))
	if err != nil {
		t.Fatal(err)
	}
	return on(t, img, "linux", "amd64", labels)
}

func on(t *testing.T, img v1.Image, system, architecture string, labels map[string]string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = system, architecture, labels
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func said(v *constellation.AlgorithmVersion) string {
	if v.Import == nil {
		return ""
	}
	return cmp.Or(v.Import.Error, "")
}
