package importer_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// serves answers with a manifest, which the source's registry would not take.
func serves(mediaType, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			rw.Header().Set("Content-Type", mediaType)
			_, _ = io.WriteString(rw, body)
			return
		}
		inner.ServeHTTP(rw, r)
	}
}

func status(code int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			rw.WriteHeader(code)
			return
		}
		inner.ServeHTTP(rw, r)
	}
}

// TestRefusals: what cannot be imported says why, in a sentence, before any layer is
// fetched.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const oci, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	digest := "sha256:" + strings.Repeat("ab", 32)
	config := fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2}`, digest)
	many := strings.Repeat(fmt.Sprintf(`{"mediaType":"x","digest":%q,"size":1},`, digest), 3)
	manifest := func(layer string) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, oci, config, layer)
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, http.Handler)
		says   string
	}{
		"401":            {status(401), "does not let us in"},
		"403":            {status(403), "does not let us read"},
		"404":            {status(404), "has no manifest team/model:v1"},
		"410":            {status(410), "answered 410"},
		"no manifest":    {serves(oci, `<html>`), "is no JSON object"},
		"schema 1":       {serves("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}`), "a manifest of schema 1"},
		"another schema": {serves(oci, `{"schemaVersion":3}`), "schemaVersion"},
		"another type":   {serves("text/plain", `{"schemaVersion":2}`), "no image manifest or index"},
		"no config":      {serves(oci, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q}`, oci)), "has no config"},
		"foreign layer":  {serves(oci, manifest(fmt.Sprintf(`{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":%q,"size":1,"urls":["https://example.com"]}`, "sha256:"+strings.Repeat("cd", 32)))), "leave out when an image is copied"},
		"no digest":      {serves(oci, manifest(`{"mediaType":"x","digest":"md5:1","size":1}`)), "is no sha256 digest"},
		"negative size":  {serves(oci, manifest(fmt.Sprintf(`{"mediaType":"x","digest":%q,"size":-1}`, "sha256:"+strings.Repeat("cd", 32)))), "-1 bytes"},
		"empty index":    {serves(index, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, index)), "no image of any platform"},
		"large manifest": {serves(oci, `{"schemaVersion":2,"layers":[`+many+strings.Repeat(" ", 5<<20)+`]}`), "more than 4 MiB"},
		"endless redirects": {func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(rw, r, r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			inner.ServeHTTP(rw, r)
		}, "leads on and on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newWorld(t), newSource(t, "")
			s.add(w)
			s.push("team/model:v1", image(t, 1000, 1, nil))
			s.answer(c.answer)
			w.serve()
			w.ask(s.host+"/team/model:v1", 1)
			if v := w.failed(1); !strings.Contains(said(v), c.says) {
				t.Errorf("it says %q, want %q", said(v), c.says)
			}
			if sent := s.sent(); sent > 0 {
				t.Errorf("%d bytes of blobs were fetched", sent)
			}
		})
	}
}

// TestPlatforms: an image that no node runs is refused before its layers are fetched.
func TestPlatforms(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:none", on(t, image(t, 1000, 1, nil), "", "", nil))
	s.push("team/model:windows", on(t, image(t, 1000, 1, nil), "windows", "amd64", nil))
	w.serve()
	for n, says := range map[string]string{"none": "names no os and architecture", "windows": "windows/amd64 alone"} {
		w.ask(s.host+"/team/model:"+n, len(n))
		if v := w.failed(len(n)); !strings.Contains(said(v), says) {
			t.Errorf("%s says %q, want %q", n, said(v), says)
		}
	}
}

// TestItFits: an image that fits neither on the disk nor into its owner's quota is
// refused before a layer is fetched.
func TestItFits(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 2<<20, 2, nil)
	s.push("team/model:v1", img)
	w.free.Store(200 << 20)
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.failed(1); !strings.Contains(said(v), "the image needs 4.2 MB more on the mothership's disk, which has 210 MB free") {
		t.Errorf("a full disk says %q", said(v))
	}
	w.free.Store(0)
	if _, err := w.control.SetQuota(t.Context(), w.admin, "neo", 3_000_000); err != nil {
		t.Fatal(err)
	}
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.failed(1); !strings.Contains(said(v), "which would take neo beyond its quota of 3.0 MB") {
		t.Errorf("a full quota says %q", said(v))
	}
	if sent := s.sent(); sent > 10_000 { // the config, to know its platform
		t.Errorf("%d bytes of blobs were fetched", sent)
	}
	if err := w.control.RemoveQuota(t.Context(), w.admin, "neo"); err != nil {
		t.Fatal(err)
	}
	w.ask(s.host+"/team/model:v1", 1)
	w.ready(1)
}

// TestAnotherHost: a login does not go where a registry leads on to, and a private
// address is not connected to.
func TestAnotherHost(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "robot:secret")
	s.add(w)
	digest := s.push("team/model:v1", image(t, 300_000, 2, nil))
	var leaked atomic.Int32
	plain := newSource(t, "")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Add(1)
		}
		r.SetBasicAuth("robot", "secret") // as the store behind a registry knows it itself
		r.URL.Host, r.Host = s.host, s.host
		plain.server.Config.Handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(elsewhere.Close)
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && r.URL.Query().Get("here") == "" {
			http.Redirect(rw, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	plain.answer(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		r.URL.RawQuery = "here=1"
		s.server.Config.Handler.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.ready(1); v.Image.Digest != digest {
		t.Errorf("the digest is %s, want %s", v.Image.Digest, digest)
	}
	if n := leaked.Load(); n > 0 {
		t.Errorf("the login went to another host %d times", n)
	}

	closed := newWorld(t, "192.0.2.1")
	s.add(closed)
	closed.serve()
	closed.ask(s.host+"/team/model:v1", 1)
	if v := closed.failed(1); !strings.Contains(said(v), "outbound-allow") || !strings.Contains(said(v), "this machine's own") {
		t.Errorf("a private address says %q", said(v))
	}
}

// TestWrongLogin: a wrong password is told at once, and without it.
func TestWrongLogin(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "robot:secret")
	user, password, plain := "robot", "hunter2", true
	if _, err := w.control.CreateForeignRegistry(t.Context(), w.admin, s.host, control.RegistryChange{PlainHTTP: &plain, Username: &user, Password: &password}); err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.failed(1); !strings.Contains(said(v), "does not let us in with the login of robot") || strings.Contains(said(v), password) {
		t.Errorf("a wrong password says %q", said(v))
	}
}

// TestWithoutPlainHTTP: plain HTTP is not spoken unless somebody said so.
func TestWithoutPlainHTTP(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.failed(1); !strings.Contains(said(v), "plain HTTP") {
		t.Errorf("plain HTTP says %q", said(v))
	}
	if n := s.asked("/v2/"); n > 0 {
		t.Errorf("it was asked %d times by plain HTTP", n)
	}
}

// TestTheTagMoves: the tag is resolved once, and what comes is of that digest.
func TestTheTagMoves(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	first := image(t, 400_000, 2, nil)
	digest := s.push("team/model:v1", first)
	second := image(t, 400_000, 2, nil)
	s.push("team/model:next", second)
	moved, err := second.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	var failed atomic.Bool
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && s.sent() > 10_000 && !failed.Swap(true) {
			s.push("team/model:v1", second)
			_ = moved
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.ready(1); v.Image.Digest != digest {
		t.Errorf("the digest is %s, want %s, which the tag had first", v.Image.Digest, digest)
	}
	w.whole("neo/hello", digest)
}

// TestOtherContent: content without the digest that it was asked for by is refused, and
// none of it stays.
func TestOtherContent(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 100_000, 1, nil)
	s.push("team/model:v1", img)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := layers[0].Size()
	if err != nil {
		t.Fatal(err)
	}
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, layer.String()) && r.Method == http.MethodGet {
			_, _ = io.WriteString(rw, strings.Repeat("x", int(size)))
			return
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.failed(1); !strings.Contains(said(v), "sent other content for blob "+layer.String()) {
		t.Errorf("other content says %q", said(v))
	}
	if _, err := w.storage.StoredBlob(t.Context(), "", layer.String()); constellation.KindOf(err) != constellation.KindNotFound {
		t.Errorf("the blob is here: %v", err)
	}
}

// TestSaysWhenToComeBack: 429 and 503 are waited for as they ask, and tell so.
func TestSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	s.push("team/model:v1", image(t, 1000, 1, nil))
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			rw.Header().Set("Retry-After", "3600")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	v := w.until(1, "waiting", func(v *constellation.AlgorithmVersion) bool { return v.Import.NextAt != nil })
	if wait := time.Until(*v.Import.NextAt); wait < 50*time.Minute || !strings.Contains(said(v), "429") || v.State != constellation.VersionImporting {
		t.Errorf("it waits %s and says %q", wait, said(v))
	}
}

// TestTwoAtOnce: two servers import the same image into two algorithms, and each layer
// is fetched once.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 3<<20, 4, nil)
	digest := s.push("team/model:v1", img)
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			time.Sleep(20 * time.Millisecond) // so that both are at it
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	if _, _, err := w.control.ImportVersion(t.Context(), w.admin, control.ImportRequest{Ref: constellation.AlgorithmRef{Owner: "trinity", Name: "copy", Hash: hash(1)}, Image: s.host + "/team/model:v1"}); err != nil {
		t.Fatal(err)
	}
	w.ready(1)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		v, err := w.control.GetAlgorithmVersion(t.Context(), w.admin, constellation.AlgorithmRef{Owner: "trinity", Name: "copy", Hash: hash(1)})
		if err != nil || v.State == constellation.VersionFailed || time.Now().After(deadline) {
			t.Fatalf("the second import: %+v, %v", v, err)
		}
		if v.State == constellation.VersionReady {
			break
		}
		time.Sleep(10 * time.Millisecond) // a poll, with an end
	}
	w.whole("neo/hello", digest)
	w.whole("trinity/copy", digest)
	if sent := s.sent(); sent > 13<<20 {
		t.Errorf("the registry sent %d bytes for an image of 12 MiB", sent)
	}
}
