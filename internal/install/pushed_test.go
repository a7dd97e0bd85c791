package install_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // its storage
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sirupsen/logrus"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// private is a customer's registry: distribution's own server on a disk, with
// something in front of it that may misbehave.
type private struct {
	*httptest.Server
	host string

	mu       sync.Mutex
	requests []string         // METHOD PATH
	sent     map[string]int64 // bytes of bodies that came, by path
	front    func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

var quietDistribution = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

func newPrivate(t *testing.T) *private {
	t.Helper()
	quietDistribution()
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  configuration.Parameters{"rootdirectory": filepath.Join(t.TempDir(), "registry")},
		"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		"delete":      configuration.Parameters{"enabled": true},
	}}
	config.HTTP.Secret = "secret"
	config.HTTP.RelativeURLs = true
	config.Catalog.MaxEntries = 100
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	app := handlers.NewApp(ctx, config)
	p := &private{sent: map[string]int64{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		front := p.front
		p.mu.Unlock()
		r.Body = &countingBody{r.Body, p, r.URL.Path}
		if front != nil {
			front(w, r, app)
			return
		}
		app.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { p.Close(); stop(); _ = app.Shutdown() })
	p.host = strings.TrimPrefix(p.URL, "http://")
	return p
}

type countingBody struct {
	io.ReadCloser
	p    *private
	path string
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.p.mu.Lock()
	b.p.sent[b.path] += int64(n)
	b.p.mu.Unlock()
	return n, err
}

func (p *private) behave(front func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.front, p.requests = front, nil
}

func (p *private) count(prefix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (p *private) bytesSent(path string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[path]
}

func pushOptions() install.PushOptions {
	return install.PushOptions{Progress: progress.New(io.Discard), Backoff: func(int) time.Duration { return 0 }}
}

// wantPulled fails unless every image of the launch is whole in the registry.
func wantPulled(t *testing.T, result *install.PushResult) {
	t.Helper()
	for _, i := range result.Images {
		ref, err := name.NewDigest(i.Destination)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(ref)
		if err != nil {
			t.Fatalf("pull %s: %v", i.Destination, err)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatalf("%s: %v", i.Destination, err)
		}
		for _, layer := range layers {
			content, err := layer.Compressed() // which holds it to its digest
			if err == nil {
				_, err = io.Copy(io.Discard, content)
			}
			if err != nil {
				t.Errorf("%s: %v", i.Destination, err)
			}
		}
	}
}

// gotten is a launch that was downloaded and that pushes to p.
func gotten(t *testing.T, p *private, layer int64, more ...string) (*mother, store.Folder) {
	t.Helper()
	m, f := newMother(t, newKey(t), 1, layer), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, append([]string{"stage.container_registry=" + p.host + "/team"}, more...)...)
	return m, f
}

func mustPush(t *testing.T, f store.Folder, o install.PushOptions) *install.PushResult {
	t.Helper()
	result, err := install.Push(t.Context(), f, o)
	if err != nil {
		t.Fatalf("Push: %v", err)
	}
	return result
}

func TestPushAgainIsOneHeadAManifest(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	_, f := gotten(t, p, 30_000)
	wantPulled(t, mustPush(t, f, pushOptions()))
	p.behave(nil)
	if result := mustPush(t, f, pushOptions()); result.Pushed != 0 || result.Bytes != 0 {
		t.Errorf("Push again = %+v, want nothing pushed", result)
	}
	if heads, all := p.count("HEAD "), p.count(""); heads != 3 || all > 4 { // one for the launch's claim, and one look whether it is a registry
		t.Errorf("%d HEADs of %d requests, want 3 of 4: %q", heads, all, p.requests)
	}
}

func TestPushMountsAcrossRepositories(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000, "stage.registry.layout=per-image")
	first := mustPush(t, f, pushOptions())
	wantPulled(t, first)
	if want := p.host + "/team/neo/hello@" + m.plan.Algorithms[0].Image.Digest; first.Images[0].Destination != want {
		t.Errorf("destination %s, want %s", first.Images[0].Destination, want)
	}
}

func TestPushGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	const size = 12 << 20
	m, f := gotten(t, p, size)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	var path string                // of the upload that is stopped
	stopped := make(chan struct{}) // and the registry has written what it got
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, strings.TrimPrefix(m.layers[0], "sha256:")) {
			once.Do(func() {
				r.Body, path = &stopAt{r.Body, size / 2, cancel}, r.URL.Path
				defer close(stopped)
				next.ServeHTTP(w, r)
			})
			return
		}
		next.ServeHTTP(w, r)
	})
	_, err := install.Push(ctx, f, pushOptions())
	wantCode(t, err, fault.CodeFailed, "interrupted", "goes on")
	waittest.Receive(t, "the registry has written what it got", stopped)
	p.behave(nil)
	wantPulled(t, mustPush(t, f, pushOptions()))
	if twice := p.bytesSent(path) - size; twice < 0 || twice > size/100 {
		t.Errorf("%d bytes came twice of %d: %q", twice, size, p.requests)
	}
	if p.count("PATCH ") == 0 {
		t.Errorf("the upload was begun again: %q", p.requests)
	}
}

// stopAt ends the client when so many bytes came, and reads no more: what was on
// its way then never arrives, however much of it the connection holds already.
type stopAt struct {
	io.ReadCloser
	left int64
	stop func()
}

func (s *stopAt) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if s.left -= int64(n); s.left <= 0 {
		s.stop()
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestPushBehindAProxyThatRefusesLargeBodies(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	_, f := gotten(t, p, 3<<20)
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength > 1<<20 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
	wantPulled(t, mustPush(t, f, pushOptions()))
}

func TestPushUnderAnImmutableTag(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	_, f := gotten(t, p, 3000)
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && !strings.Contains(r.URL.Path, "sha256:") {
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = w.Write([]byte(`{"errors":[{"code":"PRECONDITION","message":"configured as immutable, cannot be updated"}]}`))
			return
		}
		next.ServeHTTP(w, r)
	})
	wantPulled(t, mustPush(t, f, pushOptions()))
}
