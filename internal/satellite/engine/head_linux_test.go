package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// sameAsNetHTTP checks a call that the fast path takes: net/http takes it too,
// reads the same of it, and finds its end in the same place.
func sameAsNetHTTP(t *testing.T, call []byte, h *callHead) {
	t.Helper()
	br := bufio.NewReaderSize(bytes.NewReader(call), len(call)+16)
	req, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("net/http refuses what the fast path takes: %v\n%q", err, call)
	}
	if got, want := string(h.path), strings.TrimPrefix(req.URL.Path, callPrefix); got != want {
		t.Errorf("path = %q, want %q\n%q", got, want, call)
	}
	for _, f := range []struct{ name, got, want string }{
		{"method", "POST", req.Method}, {"query", string(h.query), req.URL.RawQuery},
		{"length", fmt.Sprint(h.length), fmt.Sprint(req.ContentLength)},
		{"encoding", "[]", fmt.Sprint(req.TransferEncoding)},
		{"close", fmt.Sprint(h.close), fmt.Sprint(req.Close)},
		{"authorization", string(h.authorization), req.Header.Get("Authorization")},
		{"content type", string(h.contentType), req.Header.Get("Content-Type")},
		{"content encoding", string(h.encoding), req.Header.Get("Content-Encoding")},
		{"request id", string(h.requestID), req.Header.Get("X-Request-Id")},
		{"traceparent", string(h.traceparent), req.Header.Get("Traceparent")},
		{"tracestate", string(h.tracestate), req.Header.Get("Tracestate")},
	} {
		if f.got != f.want {
			t.Errorf("%s = %q, want %q\n%q", f.name, f.got, f.want, call)
		}
	}
	if len(call) < h.end+h.length {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || !bytes.Equal(body, call[h.end:h.end+h.length]) {
		t.Errorf("body = %q, %v; want %q\n%q", call[h.end:h.end+h.length], err, body, call)
	}
	if rest := br.Buffered(); rest != len(call)-h.end-h.length {
		t.Errorf("the next request starts %d bytes before the end, want %d\n%q", len(call)-h.end-h.length, rest, call)
	}
}

// FuzzCallHead: what the fast path takes, net/http takes too and reads the
// same of it. Whatever they read apart could smuggle a request past one of
// them.
func FuzzCallHead(f *testing.F) {
	f.Add([]byte(plainCall))
	for _, change := range [][2]string{
		{"Content-Length: 3", "Content-Length: 3\r\nContent-Length: 3"}, {"Content-Length: 3", "Transfer-Encoding: chunked"},
		{"Content-Length: 3", "Content-Length: 3\r\nTransfer-Encoding: chunked"}, {"Content-Length: 3", "Content-Length: 03"},
		{"Host:", "Host: y\r\nHost:"}, {"Host:", "X: y\r\n folded\r\nHost:"}, {"keep-alive", "close"}, {"keep-alive", "close, keep-alive"},
		{"\r\nHost", "\nHost"}, {"?timeout=5", "?a=b?c"}, {"/foo/bar", "//foo/bar"}, {"/foo/bar", "/foo/../bar"}, {"HTTP/1.1", "HTTP/1.0"},
		{"X-Request-ID", "Traceparent: x\r\nTracestate: y\r\nX-Request-ID"}, {"Content-Type", "Content-Encoding: base64\r\nContent-Type"},
		{"Neo", "Neo" + plainCall}, {"127.0.0.1:8080", "[::1]:8080"}, {"127.0.0.1:8080", ""}, {"Host: ", "Host:"}, {"Content-Length: 3", "Content-Length: 0"},
	} {
		f.Add([]byte(strings.Replace(plainCall, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, call []byte) {
		var h callHead
		if parseCall(call, &h) == headPlain {
			sameAsNetHTTP(t, call, &h)
		}
		for n := range min(len(call), 2000) { // what is not whole yet is not taken for something else
			var part callHead
			if parseCall(call[:n], &part) == headPlain && n < part.end {
				t.Fatalf("a head of %d bytes ends at %d\n%q", n, part.end, call)
			}
		}
	})
}

// FuzzAnswerHead: the same of replicas' answers.
func FuzzAnswerHead(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	f.Add([]byte(ok))
	for _, change := range [][2]string{
		{"200 OK", "200"}, {"200 OK", "204 No Content"}, {"200 OK", "100 Continue"}, {"Content-Length: 2", "Transfer-Encoding: chunked"}, {"Content-Length: 2\r\n", ""},
		{"Content-Length: 2", "Content-Length: 2\r\nContent-Length: 3"}, {"Content-Length: 2", "Connection: close\r\nContent-Length: 2"}, {"{}", "{}more"}, {"200 OK", "299  x"},
	} {
		f.Add([]byte(strings.Replace(ok, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h answerHead
		if parseAnswer(data, &h) != headPlain {
			return
		}
		br := bufio.NewReaderSize(bytes.NewReader(data), len(data)+16)
		res, err := http.ReadResponse(br, postRequest)
		if err != nil {
			t.Fatalf("net/http refuses an answer that the fast path takes: %v\n%q", err, data)
		}
		defer func() { _ = res.Body.Close() }()
		if h.status != res.StatusCode || int64(h.length) != res.ContentLength || h.close != res.Close || string(h.contentType) != res.Header.Get("Content-Type") {
			t.Errorf("answer = %+v, want %d, length %d, close %v, %q\n%q", h, res.StatusCode, res.ContentLength, res.Close, res.Header.Get("Content-Type"), data)
		}
		if len(data) < h.end+h.length {
			return
		}
		if body, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(body, data[h.end:h.end+h.length]) {
			t.Errorf("body = %q, %v; want %q\n%q", data[h.end:h.end+h.length], err, body, data)
		}
	})
}
