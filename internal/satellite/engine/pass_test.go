package engine

import (
	"bufio"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// mirror answers with what it was asked.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/x-mirror")
	w.Header().Set("X-Own", "kept")
	w.WriteHeader(http.StatusTeapot)
	_, _ = fmt.Fprintf(w, "%s %s %q", r.Method, r.RequestURI, body)
}

func TestSubPathsReachTheAlgorithm(t *testing.T) {
	r := httpRoute("foo/bar", httpReplica(t, mirror))
	r.Path = "/api"
	deeper := httpRoute("foo/bar/deep", httpReplica(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "deeper") }))
	e := startEngine(t, r, deeper, lsRoute("foo/ls", newStrict(t, nil).addr))
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/algo/foo/bar/v2/models/m/infer?q=1&q=%20;x", "", 418, `GET /api/v2/models/m/infer?q=1&q=%20;x ""`},
		{"POST", "/v1/algo/foo/bar/v2/infer", "Neo", 418, `POST /api/v2/infer "Neo"`},
		{"PUT", "/v1/algo/foo/bar", "Neo", 418, `PUT /api "Neo"`},
		{"DELETE", "/v1/algo/foo/bar/", "", 418, `DELETE /api/ ""`},
		{"PATCH", "/v1/algo/foo/bar/a//b/c;d=1/%2F/%5c%C3%BC", "", 418, `PATCH /api/a//b/c;d=1/%2F/%5c%C3%BC ""`},
		{"POST", "/v1/algo/foo/bar?output=raw", "Neo", 418, `POST /api?output=raw "Neo"`},
		{"GET", "/v1/algo/foo/bar/deep/x", "", 200, "deeper"},
		{"GET", "/v1/algo/foo/bar/deeper/x", "", 418, `GET /api/deeper/x ""`},
		{"GET", "/v1/algo/foo/bar/../ls", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/%2e%2e/ls", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/a%2f..%2fb", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/..%5c..%5cx", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/..;/x", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/%252e%252e/x", "", 400, "segment such as '..'"},
		{"GET", "/v1/algo/foo/bar/a%00b", "", 400, "control character"},
		{"GET", "/v1/algo/foo/ls/v2", "", 405, "called with POST"},
		{"POST", "/v1/algo/foo/ls/v2", "", 404, "not found"},
		{"POST", "/v1/algo/foo/barn/v2", "", 404, "not found"},
	}
	for _, test := range tests {
		got := e.do(request{method: test.method, path: test.path, body: test.body})
		if got.status != test.status || !strings.Contains(got.body, test.want) {
			t.Errorf("%s %s = %d %s, want %d %s", test.method, test.path, got.status, got.body, test.status, test.want)
		}
		if test.status == 418 && (got.header.Get("Content-Type") != "text/x-mirror" || got.header.Get("X-Own") != "kept" || got.header.Get("X-Request-Id") == "") {
			t.Errorf("%s %s: headers = %v, want the container's", test.method, test.path, got.header)
		}
	}
	if got := e.do(request{body: "Neo"}); got.status != 200 || !strings.Contains(got.body, "AlgorithmError") {
		t.Errorf("a POST to the vanity URL = %d %s, want it wrapped", got.status, got.body)
	}
	if calls := e.Snapshot().Algorithms[0].Calls; calls != 15 {
		t.Errorf("%d calls are counted for the algorithm, want those of its sub-paths and the refused ones too: 15", calls)
	}
}

func TestNativeResponse(t *testing.T) {
	r := httpRoute("foo/bar", httpReplica(t, mirror))
	r.Response = constellation.ResponseNative
	e := startEngine(t, r, httpRoute("foo/wrapped", httpReplica(t, mirror)))
	for _, test := range []struct {
		r    request
		want int
	}{
		{request{body: "Neo"}, 418},
		{request{body: "Neo", path: "/v1/algo/neo/Hello/latest"}, 200}, // of two, the wrapped one or the native: both are newest
		{request{body: "Neo", path: "/v1/algo/foo/wrapped"}, 200},
		{request{body: "Neo", path: "/v1/algo/foo/wrapped?output=raw"}, 418},
		{request{body: "Neo", path: "/v1/algo/foo/wrapped", header: map[string]string{"Accept": "text/event-stream"}}, 418},
		{request{body: "Neo", auth: "-"}, 401},
		{request{body: "Neo", auth: "wrong"}, 401},
		{request{path: "/v1/algo/foo/bar/x", method: "GET", auth: "-"}, 401},
	} {
		got := e.do(test.r)
		if strings.HasSuffix(test.r.path, "latest") {
			if got.status != 200 && got.status != 418 {
				t.Errorf("%+v = %d %s", test.r, got.status, got.body)
			}
			continue
		}
		if got.status != test.want {
			t.Errorf("%+v = %d %s, want %d", test.r, got.status, got.body, test.want)
		}
	}
}

// The key and other algorithms' cookies are not the algorithm's to see.
func TestPassedHeaders(t *testing.T) {
	seen := make(chan http.Header, 1)
	e := startEngine(t, httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.Header().Add("Set-Cookie", "session=1; Path=/; Domain=example.com; HttpOnly")
		w.Header().Set("Location", "/login?x")
		w.WriteHeader(http.StatusFound)
	})))
	e.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := request{method: "GET", path: "/v1/algo/foo/bar/x", header: map[string]string{
		"Cookie": "session=of-the-mothership", "Connection": "X-Hop", "X-Hop": "1", "X-Mine": "2", "Accept-Language": "de",
	}}
	got := e.do(ask)
	h := waittest.Receive(t, "the call", seen)
	for name, want := range map[string]string{
		"Authorization": "", "Cookie": "", "X-Hop": "", "Connection": "", "X-Mine": "2", "Accept-Language": "de",
		"X-Forwarded-Prefix": "/v1/algo/foo/bar", "X-Request-Id": got.header.Get("X-Request-Id"),
	} {
		if h.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, h.Get(name), want)
		}
	}
	if location := got.header.Get("Location"); location != "/v1/algo/foo/bar/login?x" {
		t.Errorf("Location = %s, want it below the algorithm", location)
	}
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || cookie.Path != "/v1/algo/foo/bar" || cookie.Domain != "" || !cookie.HttpOnly || cookie.Value != "1" {
		t.Fatalf("the cookie is %+v, %v; want it confined to the algorithm", cookie, err)
	}
	ask.header["Cookie"] = cookie.Name + "=1; session=of-the-mothership"
	e.do(ask)
	if h := waittest.Receive(t, "the second call", seen); h.Get("Cookie") != "session=1" {
		t.Errorf("Cookie = %q, want the algorithm's own alone", h.Get("Cookie"))
	}
}

// A streamed answer passes byte by byte, holds its slot to the end, and a caller
// who leaves ends it.
func TestStreamsPass(t *testing.T) {
	next, gone := make(chan string), make(chan struct{})
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.Copy(io.Discard, r.Body) // net/http hears a caller leave behind it alone
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		for {
			select {
			case event, ok := <-next:
				if !ok {
					return
				}
				_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
				_ = rc.Flush()
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			}
		}
	}))
	r.Concurrency = 1
	e := startEngine(t, r)
	stream := func() (*bufio.Reader, io.Closer) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", e.url+"/v1/algo/foo/bar", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {testKey}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
		res, err := e.client.Do(req) //nolint:bodyclose // the caller closes it
		if err != nil {
			t.Fatal(err)
		}
		if res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("headers = %v, want an event stream", res.Header)
		}
		return bufio.NewReader(res.Body), res.Body
	}
	events, body := stream()
	for i := range 3 {
		next <- fmt.Sprint(i)
		if line, err := events.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d = %q, %v", i, line, err)
		}
		_, _ = events.ReadString('\n')
	}
	if busy := e.table.Load().Routes[0].Pool.State().InFlight; busy != 1 {
		t.Errorf("%d slots are held during a stream, want 1", busy)
	}
	_ = body.Close()
	waittest.Receive(t, "the end at the replica", gone)
	eventually(t, "the slot is free", func() bool { return e.table.Load().Routes[0].Pool.State().InFlight == 0 })
	events, body = stream()
	close(next)
	if rest, err := io.ReadAll(events); err != nil || len(rest) != 0 {
		t.Errorf("an empty stream = %q, %v; want its end", rest, err)
	}
	_ = body.Close()
}

// A stream that breaks off is seen to; one that never starts times out.
func TestBrokenStreams(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/stuck":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		waittest.Hold(t, hang)
	}))
	r.IdleTimeout = "1s"
	e := startEngine(t, r, httpRoute("foo/dead", deadAddress(t)))
	for _, path := range []string{"/broken", "/stuck"} {
		got, err := e.try(t.Context(), request{method: "GET", path: "/v1/algo/foo/bar" + path})
		if err == nil || got.status != 200 || got.body != "half" {
			t.Errorf("%s = %d %q, %v; want half an answer and that it broke", path, got.status, got.body, err)
		}
	}
	start := time.Now()
	if got := e.do(request{method: "GET", path: "/v1/algo/foo/bar/never"}); got.status != 504 || time.Since(start) > 20*time.Second {
		t.Errorf("an answer that never starts = %d %s after %v, want 504", got.status, got.body, time.Since(start))
	}
	if got := e.do(request{method: "GET", path: "/v1/algo/foo/dead/x"}); got.status != 503 && got.status != 504 {
		t.Errorf("no replica = %d %s, want 503", got.status, got.body)
	}
	for outcome, want := range map[protocol.Outcome]int{protocol.OutcomeLost: 1, protocol.OutcomeTimeout: 2} {
		eventually(t, fmt.Sprintf("%d calls are logged as %v", want, outcome), func() bool {
			return strings.Count(e.access.String(), `"outcome":"`+outcome.String()+`"`) == want
		})
	}
}

// pattern is a body of a length that takes no memory.
type pattern struct{ left int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(p.left, int64(len(b))))
	for i := range b[:n] {
		b[i] = byte(i)
	}
	p.left -= int64(n)
	return n, nil
}

// maxHeap is what tests let the heap grow by, garbage included, where nothing is
// kept whole.
const maxHeap = 40 << 20

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A large body is passed on as it comes, and one above the algorithm's limit is
// refused, whether it says its length or not.
func TestLargeBodies(t *testing.T) {
	before := heapNow()
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n, err)
		if heap := heapNow(); heap > before+maxHeap {
			t.Errorf("a body of %d bytes has the heap grow by %d, want it passed on as it comes", n, heap-before)
		}
	}))
	small := httpRoute("foo/small", r.Endpoints...)
	small.MaxBody = "100Ki"
	e := startEngine(t, r, small)
	for _, test := range []struct {
		path    string
		size    int64
		chunked bool
		status  int
		want    string
	}{
		{"/v1/algo/foo/bar/x", 64 << 20, false, 200, "67108864 <nil>"},
		{"/v1/algo/foo/bar/x", 64 << 20, true, 200, "67108864 <nil>"},
		{"/v1/algo/foo/small/x", 100 << 10, true, 200, "102400 <nil>"},
		{"/v1/algo/foo/small/x", 100<<10 + 1, false, 413, "100Ki"},
		{"/v1/algo/foo/small/x", 100<<10 + 1, true, 413, "100Ki"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", e.url+test.path, &pattern{left: test.size})
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", testKey)
		if !test.chunked {
			req.ContentLength = test.size
		}
		res, err := e.client.Do(req)
		if err != nil {
			t.Errorf("%s of %d: %v", test.path, test.size, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != test.status || !strings.Contains(string(body), test.want) {
			t.Errorf("%s of %d = %d %s, want %d %s", test.path, test.size, res.StatusCode, body, test.status, test.want)
		}
	}
}

// What a request smuggles past one parser is not passed on to another.
func TestSmuggledRequests(t *testing.T) {
	e := startEngine(t, httpRoute("foo/bar", httpReplica(t, mirror)))
	head := "POST /v1/algo/foo/bar/x HTTP/1.1\r\nHost: a\r\nAuthorization: " + testKey + "\r\n"
	for name, test := range map[string]struct{ raw, want string }{
		"both lengths":       {head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /v1/algo/foo/bar/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 418"},
		"two lengths":        {head + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 400"},
		"an unknown coding":  {head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501"},
		"a header of 100 KB": {head + "X-Large: " + strings.Repeat("a", 100<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		"another upgrade":    {"GET /v1/algo/foo/bar/x HTTP/1.1\r\nHost: a\r\nAuthorization: " + testKey + "\r\nConnection: Upgrade\r\nUpgrade: smtp\r\n\r\n", "HTTP/1.1 400"},
		"an offer of h2c":    {"GET /v1/algo/foo/bar/x HTTP/1.1\r\nHost: a\r\nAuthorization: " + testKey + "\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "HTTP/1.1 418"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(waittest.Timeout))
		go func() { _, _ = io.WriteString(conn, test.raw) }()
		br := bufio.NewReader(conn)
		line, err := br.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, test.want) {
			t.Errorf("%s = %q, %v; want %s", name, line, err, test.want)
		}
		if name == "both lengths" {
			rest, _ := io.ReadAll(br)
			if strings.Contains(string(rest), "smuggled") || strings.Contains(string(rest), "HTTP/1.1") {
				t.Errorf("%s: a second answer follows: %s", name, rest)
			}
		}
		_ = conn.Close()
	}
}

// Callers who take nothing of an answer hold their replica back, not memory, and
// lose their slots by the idle time-out.
func TestStalledReaders(t *testing.T) {
	const callers = 50
	before := heapNow()
	chunk := make([]byte, 64<<10)
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	r.Concurrency, r.IdleTimeout = callers, "2s"
	e := startEngine(t, r)
	for range callers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, "GET /v1/algo/foo/bar/x HTTP/1.1\r\nHost: a\r\nAuthorization: "+testKey+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if heap := heapNow(); heap > before+maxHeap {
		t.Errorf("%d callers who take nothing have the heap grow by %d bytes", callers, heap-before)
	}
	eventually(t, "the slots are free", func() bool { return e.table.Load().Routes[0].Pool.State().InFlight == 0 })
	eventually(t, "the calls are logged as cancelled", func() bool {
		return strings.Count(e.access.String(), `"outcome":"canceled"`) == callers
	})
}

// A POST to the vanity URL itself takes files too, and stays wrapped.
func TestFilesAreWrapped(t *testing.T) {
	e := startEngine(t, httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		file, header, err := r.FormFile("image")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		data, _ := io.ReadAll(file)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "%s has %s", header.Filename, data)
	})))
	var form strings.Builder
	parts := multipart.NewWriter(&form)
	part, err := parts.CreateFormFile("image", "neo.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, "pixels")
	_ = parts.Close()
	for path, want := range map[string]string{"": `"result":"neo.png has pixels"`, "/upload": "neo.png has pixels"} {
		if got := e.do(request{path: "/v1/algo/foo/bar" + path, contentType: parts.FormDataContentType(), body: form.String()}); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("a file to %q = %d %s, want %s", path, got.status, got.body, want)
		}
	}
}
