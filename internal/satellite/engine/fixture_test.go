package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const (
	testHash = "0123456789abcdef0123456789abcdef01234567"
	testKey  = "cst_testkey"
)

// lsCall is what a strict langserver's algorithm gets.
type lsCall struct {
	mediaType, encoding, requestID string
	body                           []byte
}

// strictLangserver is a second implementation of the algorithm contract
// (web/docs/guide/10-algorithm-contract.md), on purpose apart from the hello example: it refuses
// whatever the contract refuses, and notes what it saw.
type strictLangserver struct {
	t      *testing.T
	run    func(lsCall) (status int, reply string)
	addr   string
	server *http.Server

	one      *sync.Mutex // one call at a time in this process
	mu       sync.Mutex
	running  int
	most     int
	calls    int
	deleted  int
	conns    int
	mostConn int
}

// newStrict starts a langserver; run nil echoes.
func newStrict(t *testing.T, run func(lsCall) (int, string)) *strictLangserver {
	t.Helper()
	if run == nil {
		run = func(c lsCall) (int, string) {
			value := c.body
			kind := "json"
			if c.mediaType != "application/json" {
				value = jsonscan.AppendQuoted(nil, c.body)
				kind = map[string]string{"text/plain": "text", "application/octet-stream": "binary"}[c.mediaType]
			}
			return 200, fmt.Sprintf(`{"result":%s,"metadata":{"content_type":%q,"duration":0.25,"stdout":"","stderr":""}}`, value, kind)
		}
	}
	s := &strictLangserver{t: t, run: run, one: new(sync.Mutex)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	s.serve(ln)
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

func (s *strictLangserver) serve(ln net.Listener) {
	server := &http.Server{Handler: s, ConnState: func(_ net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.conns++
			s.mostConn = max(s.mostConn, s.conns)
		case http.StateClosed, http.StateHijacked:
			s.conns--
		}
	}}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
	go func() { _ = server.Serve(ln) }()
}

// restart listens again on the address, as a restarted container does.
func (s *strictLangserver) restart() {
	s.t.Helper()
	var ln net.Listener
	eventually(s.t, "listen again", func() bool {
		var err error
		ln, err = net.Listen("tcp", s.addr)
		return err == nil
	})
	s.mu.Lock()
	s.one = new(sync.Mutex)
	s.mu.Unlock()
	s.serve(ln)
	server := s.server
	s.t.Cleanup(func() { _ = server.Close() })
}

func (s *strictLangserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch r.Method {
	case http.MethodGet:
		reply(200, `{"result":"LangServer alive."}`)
	case http.MethodDelete:
		s.mu.Lock()
		s.deleted++
		server := s.server
		s.mu.Unlock()
		w.Header().Set("Content-Length", "28")
		reply(200, `{"result":"Runner exited:0"}`)
		_ = http.NewResponseController(w).Flush()
		go func() { _ = server.Close() }()
	case http.MethodPost:
		s.post(r, reply)
	default:
		reply(405, `{"error":{"type":"SystemError","message":"method"}}`)
	}
}

func (s *strictLangserver) post(r *http.Request, reply func(int, string)) {
	c := lsCall{mediaType: r.Header.Get("Content-Type"), encoding: r.Header.Get("Content-Encoding"), requestID: r.Header.Get("X-Request-ID")}
	bad := func(message string) {
		reply(400, `{"error":{"type":"SystemError","message":"`+message+`"}}`)
	}
	switch c.mediaType {
	case "application/json", "text/plain":
	case "application/octet-stream":
		if c.encoding != "" && c.encoding != "base64" {
			bad("bad encoding")
			return
		}
	default:
		bad("unsupported content type " + c.mediaType)
		return
	}
	c.body, _ = io.ReadAll(r.Body)
	if c.mediaType == "application/json" && !json.Valid(c.body) {
		bad(`invalid json "here"`) // unescaped: no JSON
		return
	}
	s.mu.Lock()
	s.running++
	s.calls++
	s.most = max(s.most, s.running)
	one := s.one
	s.mu.Unlock()
	one.Lock()
	status, body := s.run(c)
	one.Unlock()
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	reply(status, body)
}

func (s *strictLangserver) count(field *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *field
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(waittest.Timeout)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// testEngine is an engine served over real HTTP.
type testEngine struct {
	*Engine
	t       *testing.T
	dir     string
	url     string
	metrics string
	log     *waittest.Buffer
	access  *waittest.Buffer
	client  *http.Client
	stop    context.CancelFunc
	done    chan error
}

func lsRoute(vanity string, endpoints ...string) config.Route {
	return config.Route{VanityURL: vanity, Algorithm: "neo/Hello/" + testHash, Endpoints: endpoints}
}

func httpRoute(vanity string, endpoints ...string) config.Route {
	r := lsRoute(vanity, endpoints...)
	r.Protocol = constellation.ProtocolHTTP
	return r
}

func startEngine(t *testing.T, routes ...config.Route) *testEngine {
	t.Helper()
	return startEngineWith(t, Options{}, config.Routes{Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: routes})
}

func startEngineWith(t *testing.T, opts Options, routes config.Routes) *testEngine {
	t.Helper()
	return startEngineOn(t, listenTest(t), opts, routes)
}

func startEngineOn(t *testing.T, calls net.Listener, opts Options, routes config.Routes) *testEngine {
	t.Helper()
	e := &testEngine{t: t, dir: t.TempDir(), log: &waittest.Buffer{}, access: &waittest.Buffer{}, client: http.DefaultClient, done: make(chan error, 1)}
	e.writeRoutes(routes)
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)})
	opts.Dir = e.dir
	opts.ReloadEvery = 5 * time.Millisecond
	opts.DrainTimeout = 20 * time.Second
	opts.Log = slog.New(slog.NewJSONHandler(e.log, nil))
	opts.AccessLog = e.access
	var err error
	if e.Engine, err = New(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if err := e.listenTLS(t.Context()); err != nil {
		t.Fatal(err)
	}
	metrics := listenTest(t)
	e.url, e.metrics = "http://"+calls.Addr().String(), "http://"+metrics.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	go func() { e.done <- e.Serve(ctx, calls, metrics) }()
	t.Cleanup(func() {
		stop()
		if err := waittest.Receive(t, "the end of Serve", e.done); err != nil {
			t.Errorf("Serve = %v", err)
		}
		e.done <- nil
	})
	return e
}

func listenTest(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func (e *testEngine) writeRoutes(routes config.Routes) { e.write(config.RoutesFile, routes) }

func (e *testEngine) writeKeys(keys ...config.Key) { e.write(config.KeysFile, config.Keys{Keys: keys}) }

func (e *testEngine) write(name string, v any) {
	e.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		e.t.Fatal(err)
	}
	e.writeBytes(name, data)
}

func (e *testEngine) writeBytes(name string, data []byte) {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		e.t.Fatal(err)
	}
}

// request is a call in a test; zero fields are the usual.
type request struct {
	method, path, auth, contentType, body string
	header                                map[string]string
	chunked                               bool
}

type response struct {
	status int
	header http.Header
	body   string
}

func (r response) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, r.body)
	}
	return m
}

func (e *testEngine) do(r request) response {
	e.t.Helper()
	return e.doCtx(e.t.Context(), r)
}

func (e *testEngine) doCtx(ctx context.Context, r request) response {
	e.t.Helper()
	res, err := e.try(ctx, r)
	if err != nil {
		e.t.Errorf("%s %s: %v", r.method, r.path, err)
	}
	return res
}

func (e *testEngine) try(ctx context.Context, r request) (response, error) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = "/v1/algo/foo/bar"
	}
	if r.contentType == "" {
		r.contentType = "text/plain"
	}
	if r.auth == "" {
		r.auth = "Simple " + testKey
	}
	var body io.Reader = strings.NewReader(r.body)
	if r.chunked {
		body = io.MultiReader(body) // hides its length
	}
	req, err := http.NewRequestWithContext(ctx, r.method, e.url+r.path, body)
	if err != nil {
		return response{}, err
	}
	if r.contentType != "-" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.auth != "-" {
		req.Header.Set("Authorization", r.auth)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	res, err := e.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	return response{status: res.StatusCode, header: res.Header, body: string(data)}, err
}

func (e *testEngine) scrape() string {
	e.t.Helper()
	res, err := http.Get(e.metrics + "/metrics")
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return string(data)
}

// httpReplica is an http algorithm for tests; its address is host:port.
func httpReplica(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// deadAddress returns an address where nothing listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	ln := listenTest(t)
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// metric is a metric's value at the engine; name has its labels.
func (e *testEngine) metric(name string) string {
	for line := range strings.Lines(e.scrape()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
