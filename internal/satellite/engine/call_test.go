package engine

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestResults(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	binary := base64.StdEncoding.EncodeToString([]byte("\x00\x01\xff"))
	meta := func(kind string) map[string]any { return map[string]any{"content_type": kind, "duration": 0.25} }
	for _, test := range []struct {
		name     string
		in       request
		want     map[string]any // nil: compare raw
		raw      string
		wantType string
	}{
		{name: "text", in: request{body: "Neo"}, want: map[string]any{"result": "Neo", "metadata": meta("text")}},
		{name: "text in Java's words", in: request{contentType: "text/plain; charset=UTF-8", body: "é\n\"x\""}, want: map[string]any{"result": "é\n\"x\"", "metadata": meta("text")}},
		{name: "application/text", in: request{contentType: "application/text", body: "Neo"}, want: map[string]any{"result": "Neo", "metadata": meta("text")}},
		{name: "empty text", in: request{}, want: map[string]any{"result": "", "metadata": meta("text")}},
		{name: "json", in: request{contentType: "application/json", body: `{"a": [1, null]}`}, want: map[string]any{"result": map[string]any{"a": []any{1.0, nil}}, "metadata": meta("json")}},
		{name: "json with charset", in: request{contentType: "application/json; charset=utf-8", body: `"x"`}, want: map[string]any{"result": "x", "metadata": meta("json")}},
		{name: "json null", in: request{contentType: "application/json", body: `null`}, want: map[string]any{"result": nil, "metadata": meta("json")}},
		{name: "base64", in: request{contentType: "application/octet-stream", body: binary, header: map[string]string{"Content-Encoding": "base64"}}, want: map[string]any{"result": binary, "metadata": meta("binary")}},
		{name: "output=default", in: request{path: "/v1/algo/foo/bar?output=default", body: "Neo"}, want: map[string]any{"result": "Neo", "metadata": meta("text")}},
		{name: "Node's slash", in: request{path: "/v1/algo/foo/bar/?timeout=30&stdout=false", body: "Neo"}, want: map[string]any{"result": "Neo", "metadata": meta("text")}},
		{name: "stdout", in: request{path: "/v1/algo/foo/bar?stdout=True", body: "Neo"}, want: map[string]any{"result": "Neo", "metadata": map[string]any{"content_type": "text", "duration": 0.25, "stdout": ""}}},
		{name: "raw text", in: request{path: "/v1/algo/foo/bar?output=raw", body: "é\n"}, raw: "é\n", wantType: "text/plain; charset=utf-8"},
		{name: "raw json", in: request{path: "/v1/algo/foo/bar?output=raw", contentType: "application/json", body: "{\"a\": [1, \"b c\"]}\n"}, raw: `{"a":[1,"b c"]}`, wantType: "application/json"},
		{name: "raw json string", in: request{path: "/v1/algo/foo/bar?output=raw", contentType: "application/json", body: `"x"`}, raw: `"x"`, wantType: "application/json"},
		{name: "raw binary", in: request{path: "/v1/algo/foo/bar?output=raw", contentType: "application/octet-stream", body: binary}, raw: "\x00\x01\xff", wantType: "application/octet-stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := e.do(test.in)
			if got.status != 200 {
				t.Fatalf("status = %d, want 200: %s", got.status, got.body)
			}
			if test.want == nil {
				if got.body != test.raw || got.header.Get("Content-Type") != test.wantType {
					t.Errorf("raw = %q as %s, want %q as %s", got.body, got.header.Get("Content-Type"), test.raw, test.wantType)
				}
				return
			}
			if diff := cmp.Diff(test.want, got.json(t)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if ct := got.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("Content-Type = %q, want application/json", ct)
			}
		})
	}
}

// TestLangserverReplies has every form of a reply that a langserver may give.
func TestLangserverReplies(t *testing.T) {
	var status int
	var reply string
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, func(lsCall) (int, string) { return status, reply }).addr))
	for _, test := range []struct {
		name, query string
		status      int
		reply       string
		wantStatus  int
		want        string
	}{
		{"metadata first, spaces", "", 200, ` { "metadata" : {"content_type":"json","duration":1.5} , "result" : [1 , 2] } `, 200, `{"result":[1,2],"metadata":{"content_type":"json","duration":1.5}}`},
		{"error null", "", 200, `{"error":null,"result":"x","metadata":{"content_type":"text","duration":1}}`, 200, `{"result":"x","metadata":{"content_type":"text","duration":1}}`},
		{"void", "", 200, `{"result":null,"metadata":{"content_type":"void","duration":1}}`, 200, `{"result":null,"metadata":{"content_type":"void","duration":1}}`},
		{"kind not told: text", "", 200, `{"result":"x","metadata":{"duration":1}}`, 200, `{"result":"x","metadata":{"content_type":"text","duration":1}}`},
		{"kind not told: json", "", 200, `{"result":{},"metadata":{"duration":1}}`, 200, `{"result":{},"metadata":{"content_type":"json","duration":1}}`},
		{"kind not told: void", "", 200, `{"result":null,"metadata":{"duration":1}}`, 200, `{"result":null,"metadata":{"content_type":"void","duration":1}}`},
		{"text that is none", "", 200, `{"result":7,"metadata":{"content_type":"text","duration":1}}`, 200, `{"result":7,"metadata":{"content_type":"json","duration":1}}`},
		{"stdout asked for", "?stdout=true", 200, `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a\nb","stderr":"c"}}`, 200, `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a\nb"}}`},
		{"stdout not asked for", "", 200, `{"result":1,"metadata":{"content_type":"json","duration":1,"stdout":"a\nb","stderr":"c"}}`, 200, `{"result":1,"metadata":{"content_type":"json","duration":1}}`},
		{"raised", "", 200, `{"error":{"message":"no","stacktrace":"at 1","error_type":"InputError"},"metadata":{"duration":1,"stdout":"o"}}`, 200, `{"error":{"message":"no","stacktrace":"at 1","error_type":"InputError"},"metadata":{"duration":1}}`},
		{"raised, unknown type, no stacktrace", "", 200, `{"error":{"message":"no","stacktrace":null,"error_type":"MyOwn"},"metadata":{"duration":1}}`, 200, `{"error":{"message":"no","error_type":"MyOwn"},"metadata":{"duration":1}}`},
		{"raised with key type", "", 200, `{"error":{"type":"SystemError","message":"no"},"metadata":{"duration":1}}`, 200, `{"error":{"message":"no","error_type":"SystemError"},"metadata":{"duration":1}}`},
		{"raised, flat and nested things", "", 200, `{"error":{"message":{"a":1},"more":{"b":2}},"metadata":{"duration":1}}`, 200, `{"error":{"message":"{\"a\":1}"},"metadata":{"duration":1}}`},
		{"raised as a string", "", 200, `{"error":"no","metadata":{"duration":1}}`, 200, `{"error":{"message":"no"},"metadata":{"duration":1}}`},
		{"raised with stdout", "?stdout=true", 200, `{"error":{"message":"no"},"metadata":{"duration":1,"stdout":"o"}}`, 200, `{"error":{"message":"no"},"metadata":{"duration":1,"stdout":"o"}}`},
		{"raised under raw", "?output=raw", 200, `{"error":{"message":"no","error_type":"AlgorithmError"},"metadata":{"duration":1}}`, 400, `{"error":{"message":"no","error_type":"AlgorithmError"},"metadata":{"duration":1}}`},
		{"void under raw", "?output=raw", 200, `{"result":null,"metadata":{"content_type":"void"}}`, 200, ``},
		{"bad input", "", 400, `{"error":{"type":"SystemError","message":"bad"}}`, 400, `{"error":{"message":"bad","error_type":"SystemError"}}`},
		{"bad input, unescaped", "", 400, `{"error":{"type":"SystemError","message":"bad "x" here"}}`, 400, `{"error":{"message":"bad \"x\" here","error_type":"SystemError"}}`},
		{"bad input, no JSON at all", "", 400, `what?`, 400, `{"error":{"message":"what?"}}`},
		{"bad input, nothing", "", 400, ``, 400, `{"error":{"message":"the algorithm could not read the input"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, reply = test.status, test.reply
			got := e.do(request{path: "/v1/algo/foo/bar" + test.query})
			if got.status != test.wantStatus {
				t.Errorf("status = %d, want %d", got.status, test.wantStatus)
			}
			if test.want == "" {
				if got.body != "" {
					t.Errorf("body = %s, want none", got.body)
				}
				return
			}
			var want any
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, any(got.json(t))); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGarbageReplies has what no langserver should answer: the caller reads
// an error in a 200, never a hang or a broken body.
func TestGarbageReplies(t *testing.T) {
	var status int
	var reply string
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, func(lsCall) (int, string) { return status, reply }).addr))
	for _, test := range []struct {
		name, query string
		status      int
		reply, want string
	}{
		{"no JSON", "", 200, `hello`, "not a JSON object"},
		{"half", "", 200, `{"result":"x`, "not a JSON object"},
		{"nothing", "", 200, ``, "not a JSON object"},
		{"neither", "", 200, `{"metadata":{}}`, "neither result nor error"},
		{"an array", "", 200, `[1]`, "not a JSON object"},
		{"500", "", 500, `{"result":"x"}`, protocol.RanOut},
		{"redirect", "", 302, `{"result":"x"}`, protocol.RanOut},
		{"binary that is not base64", "?output=raw", 200, `{"result":"§","metadata":{"content_type":"binary"}}`, "not base64"},
		{"a result of 15 MiB and a byte", "", 200, `{"result":"` + strings.Repeat("x", protocol.MaxOutput-1) + `"}`, "larger than 15 MiB"},
		{"a reply of 30 MiB", "", 200, `{"result":"` + strings.Repeat("x", 30<<20) + `"}`, "larger than 15 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, reply = test.status, test.reply
			got := e.do(request{path: "/v1/algo/foo/bar" + test.query})
			wantStatus := 200
			if test.query != "" {
				wantStatus = 400
			}
			object, _ := got.json(t)["error"].(map[string]any)
			message, _ := object["message"].(string)
			if got.status != wantStatus || !strings.Contains(message, test.want) {
				t.Errorf("%d %.200s, want %d …%s…", got.status, got.body, wantStatus, test.want)
			}
		})
	}
	status, reply = 200, "{\"result\":\"a\xffb\",\"metadata\":{\"content_type\":\"text\"}}"
	if got := e.do(request{}).json(t)["result"]; got != "a\uFFFDb" {
		t.Errorf("a result that is not UTF-8 = %q, want it repaired", got)
	}
	status, reply = 200, `{"result":"`+strings.Repeat("x", protocol.MaxOutput-2)+`"}`
	if got := e.do(request{}); got.json(t)["error"] != nil {
		t.Errorf("a result of 15 MiB is refused: %.200s", got.body)
	}
}

func TestRefusedRequests(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	for _, test := range []struct {
		name   string
		in     request
		status int
		want   string
	}{
		{"no key", request{auth: "-"}, 401, `authorization required`},
		{"empty key", request{auth: "Simple "}, 401, `authorization required`},
		{"bad key", request{auth: "Simple nope"}, 401, `this API key is not known to this satellite`},
		{"another scheme", request{auth: "Basic bmVvOng="}, 401, `the Authorization header is 'Simple KEY', 'Bearer KEY' or the key alone`},
		{"unknown", request{path: "/v1/algo/neo/nothing"}, 404, `algorithm algo://neo/nothing not found`},
		{"unknown with slash", request{path: "/v1/algo/neo/nothing/"}, 404, `algorithm algo://neo/nothing not found`},
		{"no path", request{path: "/v1/algo/"}, 404, `algorithm algo:// not found`},
		{"elsewhere", request{path: "/v2/"}, 404, `there is nothing here; algorithms are called at /v1/algo/…`},
		{"GET", request{method: "GET"}, 405, `algorithms are called with POST`},
		{"bad content type", request{contentType: "image/png"}, 415, `the Content-Type is application/json, text/plain or application/octet-stream`},
		{"no content type", request{contentType: "-"}, 415, `the Content-Type is application/json, text/plain or application/octet-stream`},
		{"charset", request{contentType: "text/plain; charset=iso-8859-1"}, 415, `the only charset accepted is UTF-8`},
		{"gzip", request{contentType: "application/octet-stream", header: map[string]string{"Content-Encoding": "gzip"}}, 415, `the only Content-Encoding accepted is base64, with application/octet-stream`},
		{"base64 text", request{header: map[string]string{"Content-Encoding": "base64"}}, 415, `the only Content-Encoding accepted is base64, with application/octet-stream`},
		{"no JSON", request{contentType: "application/json", body: `{"a"`}, 400, `the body says it is JSON and is not`},
		{"empty JSON", request{contentType: "application/json"}, 400, `the body says it is JSON and is not`},
		{"no UTF-8", request{body: "\xff"}, 400, `the body says it is text and is not UTF-8`},
		{"timeout 0", request{path: "/v1/algo/foo/bar?timeout=0"}, 400, `timeout is a whole number of seconds from 1 to 3000`},
		{"timeout 3001", request{path: "/v1/algo/foo/bar?timeout=3001"}, 400, `timeout is a whole number of seconds from 1 to 3000`},
		{"timeout absurd", request{path: "/v1/algo/foo/bar?timeout=1e99"}, 400, `timeout is a whole number of seconds from 1 to 3000`},
		{"timeout negative", request{path: "/v1/algo/foo/bar?timeout=-5"}, 400, `timeout is a whole number of seconds from 1 to 3000`},
		{"stdout", request{path: "/v1/algo/foo/bar?stdout=yes"}, 400, `stdout is true or false`},
		{"output", request{path: "/v1/algo/foo/bar?output=xml"}, 400, `output is default, raw or void`},
		{"timing", request{path: "/v1/algo/foo/bar?timing=x"}, 400, `timing is 1 or 0`},
		{"void", request{path: "/v1/algo/foo/bar?output=void"}, 400, `output=void is not available: this satellite has no queue; call without it`},
		{"query", request{path: "/v1/algo/foo/bar?timeout=%zz"}, 400, `the query string cannot be read; percent-encode its values`},
		{"too large", request{body: strings.Repeat("x", protocol.MaxInput+1)}, 413, `the input is larger than 10 MiB`},
		{"too large, chunked", request{body: strings.Repeat("x", protocol.MaxInput+1), chunked: true}, 413, `the input is larger than 10 MiB`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := e.do(test.in)
			want := map[string]any{"error": map[string]any{"message": test.want}}
			if diff := cmp.Diff(want, got.json(t)); got.status != test.status || diff != "" {
				t.Errorf("status = %d, want %d; body (-want +got):\n%s", got.status, test.status, diff)
			}
			if test.status == 405 && got.header.Get("Allow") != "POST" {
				t.Errorf("Allow = %q, want POST", got.header.Get("Allow"))
			}
		})
	}
	for _, chunked := range []bool{false, true} {
		if got := e.do(request{body: strings.Repeat("x", protocol.MaxInput), chunked: chunked}); got.status != 200 {
			t.Errorf("a body of 10 MiB (chunked %v) = %d, want 200", chunked, got.status)
		}
	}
}

func TestAuthorizationForms(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	for _, auth := range []string{"Simple " + testKey, "simple " + testKey, "Bearer " + testKey, testKey, "  " + testKey + " "} {
		if got := e.do(request{auth: auth}); got.status != 200 {
			t.Errorf("Authorization %q = %d, want 200", auth, got.status)
		}
	}
	e.writeKeys(
		config.Key{ID: "k1", SHA256: config.HashKey(testKey), ExpiresAt: time.Now().Add(-time.Hour)},
		config.Key{ID: "k2", SHA256: config.HashKey("second"), ExpiresAt: time.Now().Add(time.Hour)},
	)
	eventually(t, "an expired key stops working", func() bool {
		got := e.do(request{})
		return got.status == 401 && strings.Contains(got.body, "this API key expired on ")
	})
	if got := e.do(request{auth: "second"}); got.status != 200 {
		t.Errorf("a key that expires later = %d, want 200", got.status)
	}
}

func TestLimitedKeyIsRefusedElsewhere(t *testing.T) {
	strict := newStrict(t, nil).addr
	old := lsRoute("foo/bar", strict)
	old.Algorithm = "neo/other/" + testHash
	e := startEngine(t, old, lsRoute("foo/other", strict))
	e.writeKeys(config.Key{ID: "k1", Name: "billing", SHA256: config.HashKey(testKey), Algorithms: []string{"foo/other"}})
	var refused response
	eventually(t, "the limit is in use", func() bool {
		refused = e.do(request{})
		return refused.status == 403
	})
	want := map[string]any{"error": map[string]any{"message": `the API key "billing" may not call algo://foo/bar`}}
	if diff := cmp.Diff(want, refused.json(t)); diff != "" {
		t.Errorf("a key for another algorithm (-want +got):\n%s", diff)
	}
	for path, status := range map[string]int{"/v1/algo/foo/other": 200, "/v1/algo/foo/other/": 200, "/v1/algo/foo/none": 403, "/v1/algo/neo/nobody": 403, "/v1/algo/neo/hello": 200} {
		if got := e.do(request{path: path}); got.status != status {
			t.Errorf("%s with a key for foo/other = %d, want %d", path, got.status, status)
		}
	}
	// What is there and what is not look alike but for the name that was asked.
	there, absent := e.do(request{path: "/v1/algo/foo/bar"}), e.do(request{path: "/v1/algo/foo/baz"})
	if want := strings.ReplaceAll(there.body, "foo/bar", "foo/baz"); absent.status != there.status || absent.body != want {
		t.Errorf("what is not there = %d %s, want %d %s", absent.status, absent.body, there.status, want)
	}
	status := e.do(request{method: "GET", path: "/v1/status"})
	if strings.Contains(status.body, "foo/bar") || !strings.Contains(status.body, "foo/other") {
		t.Errorf("status with a key for foo/other = %s, want foo/other alone", status.body)
	}
}

func TestURLs(t *testing.T) {
	name := func(answer string) string {
		return newStrict(t, func(lsCall) (int, string) { return 200, `{"result":"` + answer + `"}` }).addr
	}
	other := strings.Repeat("f", 40)
	old := lsRoute("foo/old", name("old"))
	old.Algorithm, old.SemanticVersion = "neo/Hello/"+other, "1.2.9"
	latest := lsRoute("foo/new", name("new"))
	latest.SemanticVersion = "1.10.0"
	candidate := lsRoute("foo/candidate", name("candidate"))
	candidate.Algorithm, candidate.SemanticVersion = "neo/Hello/"+strings.Repeat("e", 40), "1.11.0-rc.1+b7"
	clash := lsRoute("neo/hello", name("clash"))
	clash.Algorithm = "trinity/other/" + testHash
	deep := lsRoute("a/b-c/d.e", name("deep"))
	deep.Algorithm = "trinity/deep/" + testHash
	e := startEngine(t, old, latest, candidate, clash, deep)
	for _, test := range []struct{ path, want string }{
		{"foo/new", "new"},
		{"foo/new/", "new"},
		{"foo/old", "old"},
		{"a/b-c/d.e", "deep"},
		{"foo/NEW", "404"},
		{"neo/hello", "clash"}, // the vanity URL wins
		{"neo/Hello", "new"},   // exactly, so this is OWNER/NAME: the newest
		{"NEO/HELLO/", "new"},
		{"neo/hello/latest", "new"},
		{"neo/hello/latestPrivate", "new"},
		{"neo/hello/" + testHash, "new"},
		{"neo/hello/" + other + "/", "old"},
		{"neo/hello/" + strings.Repeat("0", 40), "404"},
		{"neo/hello/1.2.9", "old"},
		{"neo/hello/1.2.*", "old"},
		{"neo/hello/1.1.*", "404"},
		{"neo/hello/1.*", "new"},
		{"neo/hello/2.*", "404"},
		{"neo/hello/*", "404"},
		{"neo/hello/1.10.0", "new"},
		{"neo/hello/1.11.0-rc.1", "candidate"},
		{"neo/hello/1.11.0-rc.1+b7", "candidate"},
		{"neo/hello/1.11.0-rc.1+b8", "404"},
		{"neo/hello/1.11.0", "404"},
		{"neo/hello/1.11.*", "candidate"}, // there is no release of it
		{"trinity/deep", "deep"},
		{"trinity/deep/1.0.0", "404"},
		{"foo", "404"},
		{"a/b-c", "404"},
		{"foo/new/more/things", "404"},
		{"foo//new", "404"},
	} {
		got := e.do(request{path: "/v1/algo/" + test.path})
		answer := strconv.Itoa(got.status)
		if got.status == 200 {
			answer, _ = got.json(t)["result"].(string)
		}
		if answer != test.want {
			t.Errorf("POST /v1/algo/%s = %s, want %s", test.path, answer, test.want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	seen := make(chan string, 1)
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, func(c lsCall) (int, string) {
		seen <- c.requestID
		return 200, `{"result":1}`
	}).addr))
	for _, test := range []struct {
		in   string
		want *regexp.Regexp
	}{
		{"my-id.1", regexp.MustCompile(`^my-id\.1$`)},
		{"", regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)},
		{"spaces and <script>", regexp.MustCompile(`^req-`)},
		{strings.Repeat("x", 200), regexp.MustCompile(`^req-`)},
	} {
		got := e.do(request{header: map[string]string{"X-Request-ID": test.in}}).header.Get("X-Request-ID")
		inside := waittest.Receive(t, "a call at the replica", seen)
		if !test.want.MatchString(got) || inside != got {
			t.Errorf("X-Request-ID %q comes out as %q and reaches the replica as %q, want %s twice", test.in, got, inside, test.want)
		}
	}
	if got := e.do(request{auth: "-"}).header.Get("X-Request-ID"); got == "" {
		t.Error("a refused call has no X-Request-ID")
	}
}

func TestTiming(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	metadata, _ := e.do(request{path: "/v1/algo/foo/bar?timing=1"}).json(t)["metadata"].(map[string]any)
	timing, _ := metadata["timing"].(map[string]any)
	running, ok1 := timing["running"].(float64)
	total, ok2 := timing["total"].(float64)
	if !ok1 || !ok2 || running <= 0 || total < running {
		t.Errorf("metadata.timing = %v, want running and total seconds", timing)
	}
}

func TestHTTPProtocol(t *testing.T) {
	var (
		status   int
		kind     string
		reply    string
		received http.Header
		sent     string
	)
	addr := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1024)
		n, _ := r.Body.Read(body)
		received, sent = r.Header, r.Method+" "+r.RequestURI+" "+string(body[:n])
		if kind != "-" {
			w.Header().Set("Content-Type", kind)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(reply))
	})
	r := httpRoute("foo/bar", addr)
	r.Path = "/predict"
	e := startEngine(t, r)
	for _, test := range []struct {
		name, query string
		status      int
		kind, reply string
		wantStatus  int
		want        string // "result kind" or "error"
		wantKind    string
	}{
		{"json", "", 200, "application/json; charset=utf-8", " {\"a\": 1}\n", 200, `{"a": 1}`, "json"},
		{"problem json", "", 200, "application/vnd.x+json", `[]`, 200, `[]`, "json"},
		{"text", "", 200, "text/plain", "a\"b", 200, `"a\"b"`, "text"},
		{"html", "", 201, "text/html; charset=utf-8", "<p>é", 200, `"<p>é"`, "text"},
		{"text in another charset", "", 200, "text/plain; charset=latin1", "\xe9", 200, `"6Q=="`, "binary"},
		{"text that is not", "", 200, "text/plain", "\xe9", 200, `"6Q=="`, "binary"},
		{"binary", "", 200, "image/png", "\x89P", 200, `"iVA="`, "binary"},
		{"no type", "", 200, "-", "\x89P", 200, `"iVA="`, "binary"},
		{"nothing", "", 204, "-", "", 200, `null`, "void"},
		{"raw binary", "?output=raw", 200, "image/png", "\x89P", 200, "\x89P", ""},
		{"raw json", "?output=raw", 200, "application/json", "[1, 2]", 200, "[1, 2]", ""},
		{"raw text", "?output=raw", 200, "text/csv", "a,b", 200, "a,b", ""},
		{"raw nothing", "?output=raw", 200, "text/csv", "", 200, "", ""},
		{"not JSON", "", 200, "application/json", "{", 200, "error: the algorithm's reply says application/json and is not JSON", "ParsingError"},
		{"error object", "", 500, "application/json", `{"error":{"message":"no"}}`, 200, "error: no", "AlgorithmError"},
		{"error string", "", 400, "application/json", `{"error":"no"}`, 200, "error: no", "AlgorithmError"},
		{"FastAPI", "", 422, "application/json", `{"detail":"no"}`, 200, "error: no", "AlgorithmError"},
		{"error text", "", 500, "text/plain", "  no\n", 200, "error: no", "AlgorithmError"},
		{"error nothing", "", 502, "-", "", 200, "error: the algorithm answered 502 Bad Gateway", "AlgorithmError"},
		{"redirect", "", 302, "-", "", 200, "error: the algorithm answered 302 Found", "AlgorithmError"},
		{"error endless", "", 500, "text/plain", strings.Repeat("x", 5000), 200, "error: " + strings.Repeat("x", protocol.MaxMessage), "AlgorithmError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, kind, reply = test.status, test.kind, test.reply
			got := e.do(request{path: "/v1/algo/foo/bar" + test.query, body: "in"})
			if got.status != test.wantStatus {
				t.Errorf("status = %d, want %d", got.status, test.wantStatus)
			}
			if test.query != "" {
				if got.body != test.want {
					t.Errorf("raw = %q, want %q", got.body, test.want)
				}
				return
			}
			var answer struct {
				Result   json.RawMessage
				Error    *struct{ Message, Error_type string } //nolint:revive // the wire's name
				Metadata struct {
					Content_type string //nolint:revive // the wire's name
					Duration     *float64
				}
			}
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
				t.Fatalf("%v: %s", err, got.body)
			}
			result, kind := string(answer.Result), answer.Metadata.Content_type
			if answer.Error != nil {
				result, kind = "error: "+answer.Error.Message, answer.Error.Error_type
			}
			if result != test.want || kind != test.wantKind || answer.Metadata.Duration == nil {
				t.Errorf("answer = %s as %s (%s), want %s as %s with a duration", result, kind, got.body, test.want, test.wantKind)
			}
		})
	}
	status, kind, reply = 200, "text/plain", ""
	e.do(request{contentType: "application/octet-stream", body: "aGk=", header: map[string]string{"Content-Encoding": "base64"}})
	if sent != "POST /predict hi" || received.Get("Content-Encoding") != "" {
		t.Errorf("base64 reaches the algorithm as %q with encoding %q, want decoded", sent, received.Get("Content-Encoding"))
	}
	e.do(request{contentType: "text/plain; charset=UTF-8", body: "x"})
	if got := received.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
		t.Errorf("Content-Type reaches the algorithm as %q, want the caller's", got)
	}
}

func TestExpiredSatelliteServesAndWarns(t *testing.T) {
	e := startEngineWith(t, Options{}, config.Routes{
		Satellite:  config.Satellite{ID: "s", ExpiresAt: time.Date(2020, 2, 3, 0, 0, 0, 0, time.UTC)},
		Algorithms: []config.Route{lsRoute("foo/bar", newStrict(t, nil).addr)},
	})
	got := e.do(request{body: "Neo"})
	if warning := got.header.Get("X-Constellation-Warning"); got.status != 200 || warning != "satellite expired on 2020-02-03" {
		t.Errorf("status = %d, X-Constellation-Warning = %q, want 200 and a warning", got.status, warning)
	}
	eventually(t, "the log warns too", func() bool { return strings.Contains(e.log.String(), "satellite expired on 2020-02-03: it serves on") })
}
