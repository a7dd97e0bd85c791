package install_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
)

func mustGet(t *testing.T, f store.Folder, o install.GetOptions) *install.GetResult {
	t.Helper()
	result, err := install.Get(t.Context(), f, o)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return result
}

// wantCode fails unless err has the exit code and says all of texts.
func wantCode(t *testing.T, err error, code fault.Code, texts ...string) {
	t.Helper()
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || coded.ExitCode() != int(code) {
		t.Fatalf("error %v has not the exit code %d", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestGetMakesAValidLayout(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 50_000), folder(t)
	result := mustGet(t, f, m.options())
	if result.SatelliteVersion != 1 || result.Unchanged || result.Fetched == 0 {
		t.Errorf("Get = %+v", result)
	}
	path, err := layout.FromPath(f.Path("bundle"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := manifest.Manifests[0].Digest.String(), bundle.Digest(m.bundle.Index); got != want {
		t.Errorf("index.json names %s, want the bundle's index %s", got, want)
	}
	nested, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range m.plan.Images() {
		children, err := nested.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range children.Manifests {
			if child.Digest.String() != image.Digest {
				continue
			}
			content, err := nested.Image(child.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(content); err != nil {
				t.Errorf("image %s: %v", image.Digest, err)
			}
		}
	}
	if _, err := install.Verify(t.Context(), f, "", m.options().Progress); err != nil {
		t.Errorf("Verify: %v", err)
	}
	err = filepath.WalkDir(f.Path(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others could read the launch's token", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestGetAgainIsOneRequest(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	m.requests.Store(0)
	o := m.options()
	o.Mothership = "" // the last one used
	if result := mustGet(t, f, o); !result.Unchanged {
		t.Errorf("Get = %+v, want it unchanged", result)
	}
	if n := m.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestGetResumesAcrossRuns(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 400_000), folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const half = 200_000
	m.setFault(func(w http.ResponseWriter, r *http.Request) bool {
		digest := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if digest != m.layers[0] {
			return false
		}
		w.Header().Set("ETag", `"`+digest+`"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(m.blobs[digest])))
		_, _ = w.Write(m.blobs[digest][:half])
		_ = http.NewResponseController(w).Flush()
		waitFor(t, func() bool { // until the first half is on disk: then the process dies
			info, err := os.Stat(f.Path("work", strings.TrimPrefix(digest, "sha256:")+".part"))
			return err == nil && info.Size() == half
		})
		cancel()
		return true
	})
	_, err := install.Get(ctx, f, m.options())
	wantCode(t, err, fault.CodeFailed, "interrupted", "goes on")
	m.setFault(nil)
	mustGet(t, f, m.options())
	m.mu.Lock()
	defer m.mu.Unlock()
	if want := "bytes=200000-"; len(m.ranges) == 0 || !strings.Contains(strings.Join(m.ranges, " "), want) {
		t.Errorf("ranges asked for: %q, want %q", m.ranges, want)
	}
	if _, err := install.Verify(t.Context(), f, "", m.options().Progress); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// waitFor looks until a condition of another goroutine holds.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			t.Error("the condition never held")
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestGetSurvivesFaults(t *testing.T) {
	t.Parallel()
	once := func(fault func(w http.ResponseWriter, data []byte)) func(*mother) func(http.ResponseWriter, *http.Request) bool {
		return func(m *mother) func(http.ResponseWriter, *http.Request) bool {
			var done atomic.Bool
			return func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, m.layers[0]) || done.Swap(true) {
					return false
				}
				fault(w, m.blobs[m.layers[0]])
				return true
			}
		}
	}
	tests := map[string]func(*mother) func(http.ResponseWriter, *http.Request) bool{
		"503":       once(func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusServiceUnavailable) }),
		"429":       once(func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusTooManyRequests) }),
		"truncated": once(func(w http.ResponseWriter, data []byte) { _, _ = w.Write(data[:len(data)/3]) }),
		"corrupted": once(func(w http.ResponseWriter, data []byte) {
			bad := bytes.Clone(data)
			bad[len(bad)/2] ^= 1
			_, _ = w.Write(bad)
		}),
		"too long": once(func(w http.ResponseWriter, data []byte) { _, _ = w.Write(append(bytes.Clone(data), 'x')) }),
		"reset":    once(func(http.ResponseWriter, []byte) { panic(http.ErrAbortHandler) }),
		"stalled": once(func(w http.ResponseWriter, data []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:10])
			rc := http.NewResponseController(w)
			_ = rc.Flush()
			_ = rc.SetReadDeadline(time.Now().Add(10 * time.Second))
			time.Sleep(time.Second) // longer than the test's idle time-out
		}),
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
			m.setFault(fault(m))
			o := m.options()
			o.Idle = 200 * time.Millisecond
			mustGet(t, f, o)
			if _, err := install.Verify(t.Context(), f, "", o.Progress); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestGetRefuses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	tests := map[string]struct {
		change func(t *testing.T, m *mother, f *store.Folder, o *install.GetOptions)
		code   fault.Code
		texts  []string
	}{
		"wrong key": {func(_ *testing.T, _ *mother, _ *store.Folder, o *install.GetOptions) { o.Key = "cst_bad" },
			fault.CodeAuth, []string{"refuses the API key", "not known"}},
		"nobody there": {func(_ *testing.T, m *mother, _ *store.Folder, _ *install.GetOptions) { m.Close() },
			fault.CodeNetwork, []string{"does not answer"}},
		"no mothership": {func(t *testing.T, _ *mother, _ *store.Folder, o *install.GetOptions) {
			other := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(other.Close)
			o.Mothership = other.URL
		}, fault.CodeNetwork, []string{"check that this is the mothership's address"}},
		"a web page": {func(t *testing.T, _ *mother, _ *store.Folder, o *install.GetOptions) {
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
			t.Cleanup(other.Close)
			o.Mothership = other.URL
			o.Backoff = func(int) time.Duration { t.Error("a web page is asked for again"); return 0 }
		}, fault.CodeNetwork, []string{"not as a mothership does"}},
		"self-signed": {func(t *testing.T, m *mother, _ *store.Folder, o *install.GetOptions) {
			other := httptest.NewUnstartedServer(http.HandlerFunc(m.serve))
			other.StartTLS()
			t.Cleanup(other.Close)
			o.Mothership = other.URL
		}, fault.CodeNetwork, []string{"--ca-file"}},
		"https to http": {func(_ *testing.T, m *mother, _ *store.Folder, o *install.GetOptions) {
			o.Mothership = strings.Replace(m.URL, "http://", "https://", 1)
		}, fault.CodeNetwork, []string{"does not speak TLS"}},
		"which mothership": {func(_ *testing.T, _ *mother, _ *store.Folder, o *install.GetOptions) { o.Mothership = "" },
			fault.CodeUsage, []string{"--mothership"}},
		"full disk": {func(_ *testing.T, _ *mother, _ *store.Folder, o *install.GetOptions) {
			o.FreeSpace = func(string) (int64, error) { return 1000, nil }
		}, fault.CodeFailed, []string{"not enough room", "1.0 kB"}},
		"not writable": {func(t *testing.T, _ *mother, f *store.Folder, _ *install.GetOptions) {
			f.Root = filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(f.Root, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, fault.CodeFailed, []string{"cannot write to", "--deployment-dir"}},
		"corrupt for good": {func(_ *testing.T, m *mother, _ *store.Folder, _ *install.GetOptions) {
			m.blobs[m.layers[0]] = append(bytes.Clone(m.blobs[m.layers[0]])[:100], bytes.Repeat([]byte{0}, len(m.blobs[m.layers[0]])-100)...)
		}, fault.CodeIntegrity, []string{"came as"}},
		"plan changed on the way": {func(_ *testing.T, m *mother, _ *store.Folder, _ *install.GetOptions) {
			m.bundle.Plan = bytes.Replace(m.bundle.Plan, []byte("foo/bar"), []byte("foo/baz"), 1)
		}, fault.CodeIntegrity, []string{"the plan is"}},
		"root changed on the way": {func(_ *testing.T, m *mother, _ *store.Folder, _ *install.GetOptions) {
			m.bundle.Root = append(m.bundle.Root, ' ')
		}, fault.CodeIntegrity, []string{"signed"}},
		"another launch's plan": {func(_ *testing.T, _ *mother, f *store.Folder, _ *install.GetOptions) { f.LaunchID = satelliteID },
			fault.CodeNetwork, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, f := newMother(t, key, 1, 5000), folder(t)
			o := m.options()
			test.change(t, m, &f, &o)
			_, err := install.Get(t.Context(), f, o)
			wantCode(t, err, test.code, test.texts...)
			if _, err := os.Stat(f.Path("bundle", "index.json")); err == nil {
				t.Error("index.json is there although the download failed")
			}
		})
	}
}

func TestGetTrustsASelfSignedMothershipWithItsCA(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	secure := httptest.NewTLSServer(http.HandlerFunc(m.serve))
	t.Cleanup(secure.Close)
	o := m.options()
	o.Mothership, o.TLS.CAFile = secure.URL, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(o.TLS.CAFile, pemOf(secure.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	mustGet(t, f, o)
	o.TLS = connection.TLS{Insecure: true}
	mustGet(t, folder(t), o)
}

func TestGetPinsTheMothershipsKey(t *testing.T) {
	t.Parallel()
	first, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, first.options())
	second := newMother(t, newKey(t), 2, 1000)
	first.bundle, first.blobs = second.bundle, second.blobs // the same address, another key
	_, err := install.Get(t.Context(), f, first.options())
	wantCode(t, err, fault.CodeIntegrity, "--trust "+second.bundle.Signature.KeyID)
	o := first.options()
	o.Trust = second.bundle.Signature.KeyID
	if result := mustGet(t, f, o); result.SatelliteVersion != 2 {
		t.Errorf("Get = %+v, want version 2", result)
	}
	if _, err := install.Verify(t.Context(), f, "", o.Progress); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestLaunchesShareBlobs(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	m, f := newMother(t, key, 1, 20_000), folder(t)
	mustGet(t, f, m.options())
	layer := strings.TrimPrefix(m.layers[0], "sha256:")
	if err := os.RemoveAll(f.Path("bundle")); err != nil {
		t.Fatal(err)
	}
	m.setFault(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, layer) {
			t.Errorf("blob %s was fetched although it is on this machine", layer)
		}
		return false
	})
	mustGet(t, f, m.options())
}

// One bit, anywhere in any file of a launch: verify and what comes before a
// deploy name the file, and get mends it.
func TestAFlippedBitInEachFile(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 2000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry=127.0.0.1:1/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	var files []string
	for _, pattern := range []string{"launch.json", "launch.json.sig", "bundle/index.json", "bundle/oci-layout", "bundle/blobs/sha256/*"} {
		found, err := filepath.Glob(f.Path(pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, path := range files {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += max(1, len(good)/7) {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (at % 7)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = install.Verify(t.Context(), f, "", m.options().Progress)
			wantCode(t, err, fault.CodeIntegrity, path)
			_, err = install.Deploy(t.Context(), f, install.DeployOptions{Timeout: time.Minute, Progress: m.options().Progress})
			wantCode(t, err, fault.CodeIntegrity, path)
		}
		mustGet(t, f, m.options())
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, good) {
			t.Errorf("get did not mend %s: %v", path, err)
		}
	}
	if _, err := install.Verify(t.Context(), f, "", m.options().Progress); err != nil {
		t.Errorf("Verify of the mended launch: %v", err)
	}
}
