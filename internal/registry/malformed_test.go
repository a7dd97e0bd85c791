package registry_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// upload puts a blob into a repository and returns its digest.
func (w *world) upload(repository, content string) string {
	w.t.Helper()
	d := digest.FromString(content).String()
	w.wantAnswer(201, "", "PUT", w.begin(repository)+"&digest="+d, strings.NewReader(content))
	return d
}

// begin begins an upload and returns its path and query.
func (w *world) begin(repository string) string {
	w.t.Helper()
	response, body := w.do("POST", "/v2/"+repository+"/blobs/uploads/", nil)
	if response.StatusCode != http.StatusAccepted {
		w.t.Fatalf("begin an upload = %d %s", response.StatusCode, body)
	}
	return response.Header.Get("Location")
}

// TestMalformedRequests sends what a broken client might, and looks that none
// of it is told as a failure of the server.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const oci = "application/vnd.oci.image.manifest.v1+json"
	manifest := "/v2/neo/hello/manifests/latest"
	for _, text := range []string{"a-b", "5", "-", "0-", "bytes 0-3/4", "3-0", "0-99999999999999999999", "-1-3"} {
		w.wantAnswer(416, "RANGE_INVALID", "PATCH", w.begin("neo/hello"), strings.NewReader("abcd"), "Content-Range", text)
		w.wantAnswer(416, "RANGE_INVALID", "PUT", w.begin("neo/hello")+"&digest="+digest.FromString("abcd").String(), strings.NewReader("abcd"), "Content-Range", text)
	}
	w.wantAnswer(202, "", "PATCH", w.begin("neo/hello"), strings.NewReader("abcd"), "Content-Range", "0-3")
	w.wantAnswer(416, "RANGE_INVALID", "PATCH", w.begin("neo/hello"), strings.NewReader("abcd"), "Content-Range", "1-4")
	w.wantAnswer(202, "", "PATCH", w.begin("neo/hello"), strings.NewReader("abcd"), "Content-Type", "no type at all;;")
	w.wantAnswer(400, "MANIFEST_INVALID", "PUT", manifest, strings.NewReader(`{"schemaVersion":1}`), "Content-Type", oci)
	for _, bad := range []string{"sha256:abc", "md5:" + strings.Repeat("0", 32), "", "../../etc", "sha512:" + strings.Repeat("0", 128)} {
		for _, place := range []string{`"config":%s,"layers":[]`, `"layers":[%s]`, `"manifests":[%s]`, `"layers":[],"subject":%s`} {
			body := `{"schemaVersion":2,"mediaType":"` + oci + `",` + fmt.Sprintf(place, `{"mediaType":"application/octet-stream","size":1,"digest":"`+bad+`"}`) + `}`
			w.wantAnswer(400, "DIGEST_INVALID", "PUT", manifest, strings.NewReader(body), "Content-Type", oci)
		}
	}
	one := `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:` + strings.Repeat("0", 64) + `",`
	for _, rest := range []string{`"size":-1}`, `"size":1,"urls":["ftp://example.com/x"]}`, `"size":1,"urls":["::"]}`} {
		w.wantAnswer(400, "MANIFEST_INVALID", "PUT", manifest, strings.NewReader(`{"schemaVersion":2,"mediaType":"`+oci+`","layers":[`+one+rest+`]}`), "Content-Type", oci)
	}
	for _, query := range []string{"n=x", "n=-1", "n=99999999999999999999"} {
		w.wantClientError("GET", "/v2/neo/hello/tags/list?"+query)
		w.wantClientError("GET", "/v2/_catalog?"+query)
	}
	w.wantClientError("PATCH", strings.Split(w.begin("neo/hello"), "?")[0]+"?_state=nonsense")
	w.wantClientError("PATCH", strings.Split(w.begin("neo/hello"), "?")[0])
	w.wantClientError("PUT", strings.Split(w.begin("neo/hello"), "?")[0]+"?digest=sha256:"+strings.Repeat("0", 64))
}

func (w *world) wantClientError(method, path string) {
	w.t.Helper()
	response, body := w.do(method, path, nil)
	if response.StatusCode < 400 || response.StatusCode >= 500 {
		w.t.Errorf("%s %s = %d %s, want a client's error", method, path, response.StatusCode, body)
	}
}

// TestMediaTypesIgnoreCase pushes a manifest and asks for it by a media type in
// other letters, as RFC 9110 lets clients write it.
func TestMediaTypesIgnoreCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config, layer := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`, "a layer"
	manifest := `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + w.upload("neo/hello", config) + `","size":` + itoa(len(config)) + `},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"` + w.upload("neo/hello", layer) + `","size":` + itoa(len(layer)) + `}]}`
	const odd = "Application/VND.OCI.Image.Manifest.V1+JSON"
	path := "/v2/neo/hello/manifests/" + hash(1)
	w.wantAnswer(201, "", "PUT", path, strings.NewReader(manifest), "Content-Type", odd)
	response, body := w.do("GET", path, nil, "Accept", odd)
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || body != manifest || got != strings.ToLower(odd) {
		t.Errorf("GET for %s = %d, Content-Type %q, %s; want what was pushed", odd, response.StatusCode, got, body)
	}
	if v, err := w.version("neo/hello:" + hash(1)); err != nil || v.Image.MediaType != strings.ToLower(odd) {
		t.Errorf("version = %+v, %v; want it registered as %s", v, err, strings.ToLower(odd))
	}
}

// TestUploadBreaksOff cuts an upload's connection in the middle.
func TestUploadBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log waittest.Buffer
	statuses := make(chan int, 1)
	handler := registry.New(w.control, w.storage, registry.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		noted := &status{ResponseWriter: out}
		handler.ServeHTTP(noted, r)
		statuses <- noted.code
	}))
	defer server.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\nonly this", w.begin("neo/hello"), w.admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if code := waittest.Receive(t, "the access log", statuses); code != 499 && code != 400 {
		t.Errorf("the access log has status %d, want a client's", code)
	}
	if text := log.String(); strings.Contains(text, "ERROR") {
		t.Errorf("the log has an error of a client that went away:\n%s", text)
	}
}

// TestCancelledHead asks with a request that is cancelled already, as when a
// client goes away while the database is asked.
func TestCancelledHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustPush("neo/hello:"+hash(1), image(t, 100, nil))
	satelliteID, launchID := w.launch("neo/hello:" + hash(1))
	var log waittest.Buffer
	handler := registry.New(w.control, w.storage, registry.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{"/v2/satellites/" + satelliteID + "/manifests/" + launchID, "/v2/neo/hello/manifests/" + hash(1)} {
		r := httptest.NewRequestWithContext(ctx, http.MethodHead, path, nil)
		r.Header.Set("Authorization", "Bearer "+w.admin)
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		if out.Code != 499 {
			t.Errorf("a cancelled HEAD of %s is %d, want 499", path, out.Code)
		}
	}
	if text := log.String(); strings.Contains(text, "ERROR") {
		t.Errorf("the log has an error of a client that went away:\n%s", text)
	}
}

// status notes an answer's status.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
