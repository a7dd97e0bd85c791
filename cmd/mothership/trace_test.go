package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// collector takes spans as a collector of OpenTelemetry does.
type collector struct {
	url string

	mu      sync.Mutex
	spans   []*tracepb.Span
	headers []http.Header
	service string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export coltracepb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("the collector gets %s as %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = append(c.headers, r.Header)
		for _, resource := range export.ResourceSpans {
			c.service = attribute(resource.Resource.Attributes, "service.name")
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// trace waits until a trace has spans with all of these names, and returns it.
func (c *collector) trace(t *testing.T, id string, names ...string) trace {
	t.Helper()
	var found trace
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the trace %s:\n%s", id, strings.Join(found.paths(), "\n"))
		}
	})
	eventually(t, fmt.Sprintf("the trace %s has %q", id, names), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = trace{}
		for _, span := range c.spans {
			if hex.EncodeToString(span.TraceId) == id {
				found[hex.EncodeToString(span.SpanId)] = span
			}
		}
		return !slices.ContainsFunc(names, func(name string) bool { return len(found.named(name)) == 0 })
	})
	return found
}

// trace is the spans of one trace, by their ids.
type trace map[string]*tracepb.Span

func (tr trace) named(name string) []*tracepb.Span {
	var list []*tracepb.Span
	for _, span := range tr {
		if span.Name == name {
			list = append(list, span)
		}
	}
	return list
}

// path is the names of a span and of those above it, the root first.
func (tr trace) path(span *tracepb.Span) string {
	names := []string{span.Name}
	for {
		above, ok := tr[hex.EncodeToString(span.ParentSpanId)]
		if !ok {
			return strings.Join(names, " > ")
		}
		names, span = slices.Insert(names, 0, above.Name), above
	}
}

// paths are those of all spans.
func (tr trace) paths() []string {
	var list []string
	for _, span := range tr {
		list = append(list, tr.path(span))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// has reports whether some span stands in a path that ends so.
func (tr trace) has(ending string) bool {
	for _, span := range tr {
		if strings.HasSuffix(tr.path(span), ending) {
			return true
		}
	}
	return false
}

func attribute(list []*commonpb.KeyValue, key string) string {
	for _, a := range list {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// withTrace begins a trace for each request.
type withTrace struct {
	parent string
	secret string
}

// RoundTrip implements http.RoundTripper.
func (w withTrace) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Traceparent", w.parent)
	r.Header.Set("Baggage", "secret="+w.secret)
	return http.DefaultTransport.RoundTrip(r)
}

func parentOf(id string) string { return "00-" + id + "-00f067aa0ba902b7-01" }

// TestTraces: a push, a satellite's version, an import, a garbage collection, a mail and
// a sign-in by a provider are a tree of spans each, from the request through the
// database and the store to the job and what it asks, and no secret is in any.
func TestTraces(t *testing.T) {
	const header, mailPassword = "plantedheaderofthecollector", "plantedpasswordofthemail"
	to, at := newCollector(t), signontest.New(t)
	box, byMail := newMailbox(t, mailPassword)
	clientSecret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(clientSecret, []byte(signontest.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONSTELLATION_OUTBOUND_ALLOW", "127.0.0.1")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to.url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20"+header)
	t.Setenv("OTEL_SERVICE_NAME", "constellation-test")
	c := newCrasherIn(t, dataDir(t), "--storage", storagetest.New(t).Text("traced"), "--storage-redirect")
	c.serveArgs = append(byMail, "--gc-grace", "0s", "--gc-tag-grace", "0s", "--oidc-issuer", at.Issuer(), "--oidc-name", "corp",
		"--oidc-client-id", signontest.ClientID, "--oidc-client-secret-file", clientSecret, "--oidc-role", "operator=ops")
	i, stop := c.serve(t)
	c.URL = i.url
	const pushID, versionID, importID, refusedID = "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319d", "0af7651916cd43dd8448eb211c80319e", "0af7651916cd43dd8448eb211c80319f"

	image, err := loadtest.RandomImage()
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("5a", 20)
	ref, err := c.Reference(hash)
	if err != nil {
		t.Fatal(err)
	}
	as := append(c.Options(t.Context()), remote.WithTransport(withTrace{parentOf(pushID), c.Key}))
	if err := remote.Write(ref, image, as...); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Get(ref, as...); err != nil {
		t.Fatal(err)
	}
	if pulled, err := remote.Image(ref, as...); err != nil {
		t.Fatal(err)
	} else if layers, err := pulled.Layers(); err != nil {
		t.Fatal(err)
	} else if blob, err := layers[0].Compressed(); err != nil { // by an address that is signed
		t.Fatal(err)
	} else {
		_ = blob.Close()
	}
	pushed := to.trace(t, pushID, "PUT /v2/{name}/manifests/{reference}", "GET /v2/{name}/blobs/{digest}")
	for _, ending := range []string{
		"PUT /v2/{name}/manifests/{reference} > transaction > INSERT events", "PUT /v2/{name}/manifests/{reference} > storage put",
		"PATCH /v2/{name}/blobs/uploads/{upload} > storage write", "PUT /v2/{name}/manifests/{reference} > transaction > COMMIT",
	} {
		if !pushed.has(ending) {
			t.Errorf("no span of the push is %s", ending)
		}
	}

	send := func(id, method, path, body string, want int) string {
		t.Helper()
		response, got := fetch(t, http.DefaultClient, method, c.URL+path, body, "Authorization", "Simple "+c.Key, "Content-Type", "application/json", "Traceparent", parentOf(id), "Tracestate", "vendor=1")
		if response.StatusCode != want {
			t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, got)
		}
		return got
	}
	var satellite struct{ ID string }
	if err := json.Unmarshal([]byte(send(versionID, "POST", "/v1/satellites", `{"name":"traced","algorithms":[]}`, 201)), &satellite); err != nil {
		t.Fatal(err)
	}
	send(versionID, "POST", "/v1/satellites/"+satellite.ID+"/versions", `{"algorithms":[{"algorithm":"neo/crash/`+hash+`","vanity_url":"a/b","replicas":1}]}`, 201)
	const version = "POST /v1/satellites/{satellite_id}/versions"
	versioned := to.trace(t, versionID, version)
	if !versioned.has(version+" > transaction > INSERT satellite_versions") || !versioned.has(version+" > transaction > COMMIT") {
		t.Error("no statements of the satellite's version are in its transaction")
	}
	span := versioned.named(version)[0]
	if hex.EncodeToString(span.ParentSpanId) != "00f067aa0ba902b7" || attribute(span.Attributes, "http.response.status_code") != "201" || attribute(span.Attributes, "constellation.key_id") == "" {
		t.Errorf("the request's span is %v; want the caller's span above it, its status and the key's id", span)
	}

	host := strings.TrimPrefix(c.URL, "http://")
	send(importID, "POST", "/v1/registries", `{"host":"`+host+`","plain_http":true,"username":"neo","password":"`+c.Key+`"}`, 201)
	send(importID, "POST", "/v1/algorithms/neo/copy/versions", `{"git_hash":"`+hash+`","image":"`+host+"/neo/crash:"+hash+`"}`, 202)
	const importing = "POST /v1/algorithms/{owner}/{name}/versions"
	imported := to.trace(t, importID, importing, "job import_version")
	job := importing + " > job import_version"
	for _, ending := range []string{job + " > GET", job + " > storage put", job + " > transaction > COMMIT"} {
		if !imported.has(ending) {
			t.Errorf("no span of the import is %s", ending)
		}
	}
	if !slices.ContainsFunc(pushed.named("storage write"), func(span *tracepb.Span) bool {
		return attribute(span.Attributes, "constellation.storage.bytes") > "0"
	}) {
		t.Error("no write to the store has bytes")
	}

	c.tracesCollection(t, to, send)
	tracesMail(t, to, box, send)
	secrets := c.tracesSignIn(t, to, at)

	refused := send(refusedID, "GET", "/v1/satellites/00000000-0000-4000-8000-000000000000", "", 404)
	if !strings.Contains(refused, `"trace_id":"`+refusedID+`"`) {
		t.Errorf("a refusal does not name its trace: %s", refused)
	}
	eventually(t, "the access log names the trace", func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return slices.ContainsFunc(i.lines, func(line map[string]any) bool { return line["msg"] == "request" && line["trace_id"] == refusedID })
	})
	fetch(t, http.DefaultClient, "GET", c.URL+"/healthz", "")
	stop()
	to.holdsNoSecret(t, header, append(secrets, c.Key, mailPassword)...)
	for id, tr := range map[string]trace{pushID: pushed, versionID: versioned} {
		for _, span := range tr {
			if strings.Contains(span.Name, "healthz") || tr.path(span) == span.Name && span.Kind != tracepb.Span_SPAN_KIND_SERVER {
				t.Errorf("in the trace %s, %q is below nothing", id, span.Name)
			}
		}
	}
}

// holdsNoSecret looks for secrets in all that came.
func (c *collector) holdsNoSecret(t *testing.T, header string, secrets ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.service != "constellation-test" || !slices.ContainsFunc(c.headers, func(h http.Header) bool { return h.Get("Authorization") == "Bearer "+header }) {
		t.Errorf("the spans are of %q, or came without the headers that were set", c.service)
	}
	for _, span := range c.spans {
		text, err := protojson.Marshal(span)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range append(secrets, header, "X-Amz-", "Authorization", "Bearer", "Simple ", "Basic ", "password\"", "vendor=1;", "baggage") {
			if strings.Contains(string(text), secret) {
				t.Errorf("a span has %q: %s", secret, text)
			}
		}
	}
	t.Logf("%d spans, and no secret in any", len(c.spans))
}

// TestACollectorThatHangs: requests do not wait for a collector that takes connections
// and never answers; it is told of once, and in a metric.
func TestACollectorThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	i := serveInProcess(t, dataDir(t), "--otlp-endpoint", "http://"+listener.Addr().String())
	begun := time.Now()
	for range 3000 { // more than wait
		fetch(t, http.DefaultClient, "GET", i.url+"/login", "")
	}
	took := time.Since(begun)
	told := func() (n int) {
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, line := range i.lines {
			if strings.HasPrefix(line["msg"].(string), "the collector of traces") {
				n++
			}
		}
		return n
	}
	eventually(t, "the log says that the collector hangs", func() bool { return told() > 0 })
	_, metrics := fetch(t, http.DefaultClient, "GET", i.url+"/metrics", "")
	if strings.Contains(metrics, `constellation_trace_spans_total{outcome="failed"} 0`) || !strings.Contains(metrics, `constellation_trace_spans_total{outcome="sent"} 0`) {
		t.Error("no metric tells that spans failed")
	}
	stopped := time.Now()
	if code := i.stop(); code != 0 || told() != 1 {
		t.Errorf("serve ends with %d after it told %d times; want once", code, told())
	}
	if wait := time.Since(stopped); wait > 15*time.Second {
		t.Errorf("serve took %s to end", wait)
	}
	t.Logf("3000 requests took %s beside a collector that hangs", took)
}

func TestCollectorsThatCannotBe(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"localhost:4318":             "is named by its URL",
		"http://neo:s3cret@host":     "a login is given by OTEL_EXPORTER_OTLP_HEADERS",
		"http://host/v1/traces?x=s3": "neither a query",
	} {
		code, _, stderr := exitOf(t.Context(), "", "serve", "--otlp-endpoint", endpoint)
		if code != 2 || !strings.Contains(stderr, want) || strings.Contains(stderr, "s3cret") {
			t.Errorf("serve --otlp-endpoint %s: %d %q, want %q", endpoint, code, stderr, want)
		}
	}
}
