package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

func TestMain(m *testing.M) {
	code := postgrestest.Main(m)
	removeProgram()
	os.Exit(code)
}

// world is a mothership's registry: a database, storage and a server.
type world struct {
	t     *testing.T
	db    *postgres.DB
	dir   string             // of content in files
	store *storagetest.Store // of content that is not
	// redirect says that clients get blobs from there.
	redirect bool
	storage  *registry.Storage
	system   *registry.SystemImage
	control  *control.Service
	server   *httptest.Server
	host     string
	admin    string // the API key of account "Admin"
	log      *keptLog
	ca       string // a file of certificate authorities

	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := newWorldOn(t, registry.FilesystemStorage(dir))
	w.dir = dir
	return w
}

// onEveryStorage runs a test on content in files, and in an object store with
// blobs served from here and by redirect.
func onEveryStorage(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t))
	})
	for _, redirect := range []bool{false, true} {
		t.Run(fmt.Sprintf("s3 redirect=%v", redirect), func(t *testing.T) {
			t.Parallel()
			store := storagetest.New(t)
			w := newWorldOn(t, registry.StorageConfig{Location: store.Location(t, "registry"), Redirect: redirect})
			w.store, w.redirect = store, redirect
			test(t, w)
		})
	}
}

func newWorldOn(t *testing.T, config registry.StorageConfig) *world {
	t.Helper()
	w := &world{t: t, db: postgrestest.New(t), log: &keptLog{}, now: time.Now().UTC().Truncate(time.Millisecond)}
	var err error
	if w.storage, err = registry.OpenStorage(t.Context(), config, nil); err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.ca = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(w.ca, []byte("certificate authorities"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.control = control.New(control.Options{
		DB: w.db, Sealer: sealer, Content: w.storage, SystemImage: func(ctx context.Context) (bundle.System, error) { return w.system.System(ctx) },
		PublicURL: "https://mothership.example.com", Version: "v0.0.1", Now: w.clock,
		Store: w.storage, TouchEvery: time.Microsecond, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	w.system = registry.StartSystemImage(t.Context(), w.storage, registry.SystemImageConfig{Control: w.control, Version: "v0.0.1", Executable: program(t), CABundle: w.ca})
	w.server = httptest.NewServer(registry.New(w.control, w.storage, registry.Options{}))
	t.Cleanup(func() {
		w.server.Close()
		w.system.Wait()
		if err := w.storage.Close(); err != nil {
			t.Errorf("close storage: %v", err)
		}
	})
	w.host = strings.TrimPrefix(w.server.URL, "http://")
	w.account("Admin", constellation.RoleAdmin)
	w.admin = w.key("Admin", control.NewKey{Name: "k"})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) account(username string, role constellation.Role) {
	w.t.Helper()
	if _, err := w.control.CreateAccount(w.t.Context(), control.Shell(), control.NewAccount{Username: username, Role: role}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) key(username string, n control.NewKey) string {
	w.t.Helper()
	key, _, err := w.control.CreateKey(w.t.Context(), control.Shell(), username, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// as are the credentials of docker login.
func as(username, key string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: username, Password: key})
}

func (w *world) reference(s string) name.Reference {
	w.t.Helper()
	ref, err := name.ParseReference(w.host + "/" + s)
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// push writes an image or an index as the admin.
func (w *world) push(ref string, what remote.Taggable) error {
	w.t.Helper()
	options := []remote.Option{as("admin", w.admin), remote.WithContext(w.t.Context())}
	switch what := what.(type) {
	case v1.Image:
		return remote.Write(w.reference(ref), what, options...)
	case v1.ImageIndex:
		return remote.WriteIndex(w.reference(ref), what, options...)
	}
	return fmt.Errorf("cannot push a %T", what)
}

func (w *world) mustPush(ref string, what remote.Taggable) {
	w.t.Helper()
	if err := w.push(ref, what); err != nil {
		w.t.Fatalf("push %s: %v", ref, err)
	}
}

func (w *world) version(ref string) (*constellation.AlgorithmVersion, error) {
	w.t.Helper()
	parsed, err := constellation.ParseAlgorithmRef(strings.Replace(ref, ":", "/", 1))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.control.GetAlgorithmVersion(w.t.Context(), control.Shell(), parsed)
}

func (w *world) mustNotExist(ref string) {
	w.t.Helper()
	if v, err := w.version(ref); constellation.KindOf(err) != constellation.KindNotFound {
		w.t.Errorf("version %s is registered: %+v, %v", ref, v, err)
	}
}

// launch makes a satellite of the versions and a launch of it.
func (w *world) launch(refs ...string) (satelliteID, launchID string) {
	w.t.Helper()
	n := control.NewSatellite{Name: "sat-" + digest.FromString(strings.Join(refs, " ")).Encoded()[:12]}
	for i, ref := range refs {
		n.Algorithms = append(n.Algorithms, control.AlgorithmSpec{Algorithm: strings.Replace(ref, ":", "/", 1), VanityURL: fmt.Sprintf("foo/bar%d", i), Replicas: 1})
	}
	satellite, err := w.control.CreateSatellite(w.t.Context(), w.adminPrincipal(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	launch, err := w.control.CreateLaunch(w.t.Context(), w.adminPrincipal(), satellite.ID, control.NewLaunch{Name: "launch"})
	if err != nil {
		w.t.Fatal(err)
	}
	return satellite.ID, launch.ID
}

func (w *world) adminPrincipal() control.Principal {
	w.t.Helper()
	p, err := w.control.AuthenticateKey(w.t.Context(), w.admin, "127.0.0.1")
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// do sends a request as the admin unless the request has credentials.
func (w *world) do(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.admin)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if r.Header.Get("Authorization") == "" {
		r.Header.Del("Authorization")
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		w.t.Fatal(err)
	}
	return response, string(data)
}

// wantAnswer sends a request and checks status and OCI error code.
func (w *world) wantAnswer(status int, code, method, path string, body io.Reader, headers ...string) {
	w.t.Helper()
	response, text := w.do(method, path, body, headers...)
	if response.StatusCode != status || code != "" && !strings.Contains(text, `"code":"`+code+`"`) {
		w.t.Errorf("%s %s answers %d %s, want %d %s", method, path, response.StatusCode, text, status, code)
	}
}

// hash returns a Git hash for a small number.
func hash(n int) string { return fmt.Sprintf("%040x", n+0xabc) }

// image makes an image of about size bytes with labels.
func image(t *testing.T, size int64, labels map[string]string) v1.Image {
	t.Helper()
	base, err := random.Image(size, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", "amd64", labels
	img, err := mutate.ConfigFile(base, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digestOf(t *testing.T, what interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := what.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// wantRefused checks an error of a registry client.
func wantRefused(t *testing.T, err error, status int, text string) {
	t.Helper()
	var refused *transport.Error
	if !errors.As(err, &refused) || refused.StatusCode != status || !strings.Contains(refused.Error(), text) {
		t.Errorf("got %v, want status %d that says %q", err, status, text)
	}
}

var programDir string

var buildProgram = sync.OnceValues(func() (string, error) {
	var err error
	if programDir, err = os.MkdirTemp("", "constellation-registry-test-"); err != nil {
		return "", err
	}
	for file, data := range map[string]string{"main.go": "package main\n\nfunc main() {}\n", "go.mod": "module program\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(programDir, file), []byte(data), 0o600); err != nil {
			return "", err
		}
	}
	build := exec.Command("go", "build", "-o", "program", ".")
	build.Dir = programDir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build a program: %w: %s", err, out)
	}
	return filepath.Join(programDir, "program"), nil
})

// program returns a static program that stands for the mothership's binary.
func program(t *testing.T) string {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func removeProgram() {
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
}

// pushWith writes an image as USERNAME:KEY, as crane does.
func pushWith(ref name.Reference, img v1.Image, credentials string) error {
	username, key, _ := strings.Cut(credentials, ":")
	return remote.Write(ref, img, as(username, key))
}
