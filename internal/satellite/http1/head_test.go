package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

const plainCall = "POST /v1/algo/foo/bar?timeout=5 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Simple key" +
	"\r\nContent-Type: text/plain\r\nX-Request-ID: my-id\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nNeo"

// sameAsNetHTTP checks a call that the loop takes: net/http takes it too,
// reads the same of it, and finds its end in the same place.
func sameAsNetHTTP(t *testing.T, call []byte, h *Call) {
	t.Helper()
	br := bufio.NewReaderSize(bytes.NewReader(call), len(call)+16)
	req, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("net/http refuses what the loop takes: %v\n%q", err, call)
	}
	if got, want := string(h.Path), strings.TrimPrefix(req.URL.Path, Prefix); got != want {
		t.Errorf("path = %q, want %q\n%q", got, want, call)
	}
	for _, f := range []struct{ name, got, want string }{
		{"method", "POST", req.Method}, {"query", string(h.Query), req.URL.RawQuery},
		{"length", fmt.Sprint(h.Length), fmt.Sprint(req.ContentLength)},
		{"encoding", "[]", fmt.Sprint(req.TransferEncoding)},
		{"close", fmt.Sprint(h.Close), fmt.Sprint(req.Close)},
		{"authorization", string(h.Authorization), req.Header.Get("Authorization")},
		{"content type", string(h.ContentType), req.Header.Get("Content-Type")},
		{"content encoding", string(h.Encoding), req.Header.Get("Content-Encoding")},
		{"request id", string(h.RequestID), req.Header.Get("X-Request-Id")},
		{"traceparent", string(h.Traceparent), req.Header.Get("Traceparent")},
		{"tracestate", string(h.Tracestate), req.Header.Get("Tracestate")},
	} {
		if f.got != f.want {
			t.Errorf("%s = %q, want %q\n%q", f.name, f.got, f.want, call)
		}
	}
	if len(call) < h.End+h.Length {
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || !bytes.Equal(body, call[h.End:h.End+h.Length]) {
		t.Errorf("body = %q, %v; want %q\n%q", call[h.End:h.End+h.Length], err, body, call)
	}
	if rest := br.Buffered(); rest != len(call)-h.End-h.Length {
		t.Errorf("the next request starts %d bytes before the end, want %d\n%q", len(call)-h.End-h.Length, rest, call)
	}
}

// FuzzCallHead: what the loop takes, net/http takes too and reads the
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
		{"Neo", "Neo" + plainCall}, {"\r\n", "\n"}, {"\r\n\r\n", "\n\r\n"}, {"\r\n\r\n", "\n\n"}, {"\r\n\r\nNeo", "\r\n\nNeo"}, {"\r\n\r\nNeo", "\r\n"},
		{"\r\nHost", "\r\n folded\r\nHost"}, {"\r\nHost", "\rHost"}, {"127.0.0.1:8080", "[::1]:8080"}, {"127.0.0.1:8080", ""}, {"Host: ", "Host:"}, {"Content-Length: 3", "Content-Length: 0"},
	} {
		f.Add([]byte(strings.Replace(plainCall, change[0], change[1], 1)))
	}
	f.Add([]byte(strings.ReplaceAll(plainCall, "\r\n", "\n")))
	f.Fuzz(func(t *testing.T, call []byte) {
		var h Call
		switch ReadCall(call, &h) {
		case Plain:
			sameAsNetHTTP(t, call, &h)
		case Partial:
			_, err := http.ReadRequest(wholeLines(call))
			needsMore(t, err, call)
		}
		for n := range min(len(call), 2000) { // what is not whole yet is not taken for something else
			var part Call
			if ReadCall(call[:n], &part) == Plain && n < part.End {
				t.Fatalf("a head of %d bytes ends at %d\n%q", n, part.End, call)
			}
		}
	})
}

// wholeLines reads the lines that have come: net/http takes what stands before
// the end of a connection for a line.
func wholeLines(data []byte) *bufio.Reader {
	return bufio.NewReader(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1]))
}

// needsMore checks that net/http waits for more, as the loop does: a head of
// which it knows all that it will say is not waited for.
func needsMore(t *testing.T, err error, data []byte) {
	t.Helper()
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("net/http does not wait for more of what the loop waits for: %v\n%q", err, data)
	}
}

// FuzzAnswerHead: the same of replicas' answers.
func FuzzAnswerHead(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	f.Add([]byte(ok))
	for _, change := range [][2]string{
		{"200 OK", "200"}, {"200 OK", "204 No Content"}, {"200 OK", "100 Continue"}, {"Content-Length: 2", "Transfer-Encoding: chunked"}, {"Content-Length: 2\r\n", ""},
		{"\r\n", "\n"}, {"\r\n\r\n", "\n\n"}, {"\r\n\r\n", "\r\n\n"}, {"\r\n\r\n{}", "\r\n"}, {"\r\nContent-Length", "\nContent-Length"},
		{"Content-Length: 2", "Content-Length: 2\r\nContent-Length: 3"}, {"Content-Length: 2", "Connection: close\r\nContent-Length: 2"}, {"{}", "{}more"}, {"200 OK", "299  x"},
	} {
		f.Add([]byte(strings.Replace(ok, change[0], change[1], 1)))
	}
	f.Add([]byte(strings.ReplaceAll(ok, "\r\n", "\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h Answer
		switch ReadAnswer(data, &h) {
		case Partial:
			_, err := http.ReadResponse(wholeLines(data), &http.Request{Method: http.MethodPost}) //nolint:bodyclose // there is none
			needsMore(t, err, data)
			return
		case Other:
			return
		}
		br := bufio.NewReaderSize(bytes.NewReader(data), len(data)+16)
		res, err := http.ReadResponse(br, &http.Request{Method: http.MethodPost})
		if err != nil {
			t.Fatalf("net/http refuses an answer that the loop takes: %v\n%q", err, data)
		}
		defer func() { _ = res.Body.Close() }()
		if h.Status != res.StatusCode || int64(h.Length) != res.ContentLength || h.Close != res.Close || string(h.ContentType) != res.Header.Get("Content-Type") {
			t.Errorf("answer = %+v, want %d, length %d, close %v, %q\n%q", h, res.StatusCode, res.ContentLength, res.Close, res.Header.Get("Content-Type"), data)
		}
		if len(data) < h.End+h.Length {
			return
		}
		if body, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(body, data[h.End:h.End+h.Length]) {
			t.Errorf("body = %q, %v; want %q\n%q", data[h.End:h.End+h.Length], err, body, data)
		}
	})
}

// TestPlainCallsAreReadAsNetHTTPReadsThem changes a plain call at random: what
// the loop takes, net/http takes too, and reads the same of it.
func TestPlainCallsAreReadAsNetHTTPReadsThem(t *testing.T) {
	var h Call
	if ReadCall([]byte(plainCall), &h) != Plain {
		t.Fatal("the plain call is not plain")
	}
	pieces := []string{
		"\r\n", "\n", "\r", " ", "\t", ":", "\x00", "\x80", "Content-Length: 3\r\n", "content-length: 4\r\n", "Transfer-Encoding: chunked\r\n",
		"Host: y\r\n", "Connection: close\r\n", "Connection: upgrade\r\n", "Expect: 100-continue\r\n", " folded\r\n", "%2e", "?", "#", "/..", "HTTP/1.0",
		"Content-Length : 3\r\n", "Content-Length: +3\r\n", "Content-Length: 3, 3\r\n", "Transfer-Encoding : chunked\r\n", "X: y\r\n", "GET ", "a", "é", ",",
	}
	r := rand.New(rand.NewPCG(3, 4))
	plain := 0
	for range 200_000 {
		call := []byte(plainCall)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(call) + 1)
			switch r.IntN(3) {
			case 0:
				piece := pieces[r.IntN(len(pieces))]
				if r.IntN(2) == 0 { // at the start of a line
					if i := bytes.Index(call[at:], []byte("\r\n")); i >= 0 {
						at += i + 2
					}
				}
				call = append(call[:at:at], append([]byte(piece), call[at:]...)...)
			case 1:
				end := min(len(call), at+1+r.IntN(4))
				call = append(call[:at:at], call[end:]...)
			default:
				if at < len(call) {
					call[at] = byte(r.IntN(256))
				}
			}
		}
		if ReadCall(call, &h) != Plain {
			continue
		}
		plain++
		sameAsNetHTTP(t, call, &h)
	}
	if plain < 1000 {
		t.Errorf("only %d of the changed calls were plain: the test says little", plain)
	}
}

// TestBareLineFeedsAreNotWaitedFor: a head that a bare LF makes not plain is
// left to net/http at the byte that shows it.
func TestBareLineFeedsAreNotWaitedFor(t *testing.T) {
	answer := "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n\n{}"
	for name, read := range map[string]func() State{
		"a call":                      func() State { return ReadCall([]byte(strings.ReplaceAll(plainCall, "\r\n", "\n")), new(Call)) },
		"one line of a call":          func() State { return ReadCall([]byte(strings.Replace(plainCall[:60], "\r\n", "\n", 1)), new(Call)) },
		"a call's last line":          func() State { return ReadCall([]byte(strings.Replace(plainCall, "\r\n\r\n", "\r\n\n", 1)), new(Call)) },
		"an answer":                   func() State { return ReadAnswer([]byte(answer), new(Answer)) },
		"one line of an answer":       func() State { return ReadAnswer([]byte(answer[:16]), new(Answer)) },
		"a header that cannot be":     func() State { return ReadAnswer([]byte("HTTP/1.1 200 OK\r\nno colon\r\n"), new(Answer)) },
		"a status that has no answer": func() State { return ReadAnswer([]byte("HTTP/1.1 100 Continue\r\n"), new(Answer)) },
		"a call that is not HTTP/1.1": func() State { return ReadCall([]byte("POST /v1/algo/foo/bar HTTP/1.0\r\n"), new(Call)) },
		"a call that expects an answer": func() State {
			return ReadCall([]byte("POST /v1/algo/foo/bar HTTP/1.1\r\nExpect: 100-continue\r\n"), new(Call))
		},
	} {
		if got := read(); got != Other {
			t.Errorf("%s = %v, want Other", name, got)
		}
	}
}
