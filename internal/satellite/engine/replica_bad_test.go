package engine

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// wireReplica answers a call with bytes that need not be HTTP, and closes.
func wireReplica(t *testing.T, answer func(w io.Writer)) string {
	t.Helper()
	ln := listenTest(t)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					if !strings.Contains(string(buf[:n]), "POST ") {
						continue
					}
					answer(conn)
					return
				}
			}()
		}
	}()
	return ln.Addr().String()
}

const goodReply = `{"result":"good","metadata":{"content_type":"text","duration":0.1}}`

// TestAnswersOnTheWire: whatever a replica sends, the caller gets a reply as
// the reference has it, by either path through the engine.
func TestAnswersOnTheWire(t *testing.T) {
	sized := func(head, body string) string {
		return fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	const ok = "HTTP/1.1 200 OK"
	answers := map[string]struct{ send, want string }{
		"good":                {sized(ok, goodReply), `"result":"good"`},
		"chunked":             {ok + "\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n" + goodReply[:4] + "\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(goodReply)-4, goodReply[4:]), `"result":"good"`},
		"HTTP/1.0":            {"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + goodReply, `"result":"good"`},
		"bare line feeds":     {strings.ReplaceAll(sized(ok+"\r\nContent-Type: application/json", goodReply), "\r\n", "\n"), `"result":"good"`},
		"a bare line feed":    {ok + "\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(goodReply), goodReply), `"result":"good"`},
		"interim first":       {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + sized(ok, goodReply), `"result":"good"`},
		"garbage after it":    {sized(ok, goodReply) + "garbage", `"result":"good"`},
		"garbage":             {"\x00\x01\x02 what\r\n\r\n", protocol.RanOut},
		"nothing":             {"", protocol.RanOut},
		"half a head":         {"HTTP/1.1 200 O", protocol.RanOut},
		"half a body":         {ok + "\r\nContent-Length: 500\r\n\r\n" + goodReply, protocol.RanOut},
		"half a chunk":        {ok + "\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{", protocol.RanOut},
		"two lengths":         {ok + "\r\nContent-Length: 3\r\n" + sized("Content-Length: 7", goodReply), protocol.RanOut},
		"no JSON":             {sized(ok, "hello"), "not a JSON object"},
		"a redirect":          {sized("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/", ""), protocol.RanOut},
		"an interim for ever": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50), protocol.RanOut},
		"an upgrade":          {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", protocol.RanOut},
		"head of 2 MB":        {ok + "\r\nX: " + strings.Repeat("x", 2<<20), protocol.RanOut},
		"2 GB announced":      {ok + "\r\nContent-Length: 2147483648\r\n\r\n{", "the result is larger than 15 MiB"},
	}
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			addr := wireReplica(t, func(w io.Writer) { _, _ = io.WriteString(w, test.send) })
			for path, slow := range map[string]bool{"loop": false, "net/http": true} {
				e := startEngineWith(t, Options{NoFastPath: slow}, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", addr)}})
				got := e.do(request{body: "x"})
				if got.status != 200 || !strings.Contains(got.body, test.want) {
					t.Errorf("%s: call = %d %.300s, want %q", path, got.status, got.body, test.want)
				}
				eventually(t, "the slot is free", func() bool { return e.Snapshot().Algorithms[0].InFlight == 0 })
			}
		})
	}
}

// TestEndlessAnswer: a reply of 2 GB is read up to the limit and no further.
func TestEndlessAnswer(t *testing.T) {
	written := make(chan int, 8)
	addr := wireReplica(t, func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
		for n := range 2048 {
			if _, err := io.WriteString(w, chunk); err != nil {
				written <- n
				return
			}
		}
		written <- 2048
	})
	e := startEngine(t, lsRoute("foo/bar", addr))
	got := e.do(request{body: "x"})
	if got.status != 200 || !strings.Contains(got.body, "TooLargeError") {
		t.Errorf("call = %d %.200s, want 200 and a TooLargeError", got.status, got.body)
	}
	if n := waittest.Receive(t, "the end of the reply", written); n > 64 {
		t.Errorf("%d MiB of the reply were taken, want about %d", n, protocol.MaxReply>>20)
	}
}

// TestSilentReplica: one that never answers costs its caller the time-out and
// nobody else anything.
func TestSilentReplica(t *testing.T) {
	hang := make(chan bool)
	t.Cleanup(func() { close(hang) })
	addr := wireReplica(t, func(io.Writer) { waittest.Hold(t, hang) })
	good := newStrict(t, nil)
	silent := httpRoute("foo/silent", addr)
	e := startEngine(t, silent, lsRoute("foo/bar", good.addr))
	done := make(chan response, 1)
	start := time.Now()
	go func() { done <- e.do(request{path: "/v1/algo/foo/silent?timeout=1"}) }()
	for range 20 {
		if got := e.do(request{body: "Neo"}); !strings.Contains(got.body, `"Neo"`) {
			t.Errorf("another call = %d %s", got.status, got.body)
		}
	}
	got := waittest.Receive(t, "the call's answer", done)
	if took := time.Since(start); got.status != 200 || errorMessage(t, got) != protocol.RanOut || took < time.Second || took > waittest.Timeout {
		t.Errorf("call = %d %s after %v, want the time-out after a second", got.status, got.body, took)
	}
}

// TestSlowCaller: a body that comes a byte at a time holds no replica.
func TestSlowCaller(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST /v1/algo/foo/bar HTTP/1.1\r\nHost: x\r\nAuthorization: "+testKey+"\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n")
	for range 20 {
		_, _ = io.WriteString(conn, "x")
		if got := e.do(request{body: "Neo"}); !strings.Contains(got.body, `"Neo"`) {
			t.Errorf("another call = %d %s", got.status, got.body)
		}
	}
	_, _ = io.WriteString(conn, strings.Repeat("x", 80))
	_ = conn.SetReadDeadline(time.Now().Add(waittest.Timeout))
	buf := make([]byte, 4096)
	n, err := io.ReadAtLeast(conn, buf, 200)
	if !strings.Contains(string(buf[:n]), strings.Repeat("x", 100)) {
		t.Errorf("the slow call = %q, %v, want its body back", buf[:n], err)
	}
}

// TestReplicaWithBareLineFeeds: such an answer is read at once, also when the
// replica keeps the connection open for the next call.
func TestReplicaWithBareLineFeeds(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		hang := make(chan bool)
		t.Cleanup(func() { close(hang) })
		addr := wireReplica(t, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: %d\n\n%s", len(goodReply), goodReply)
			waittest.Hold(t, hang)
		})
		e := startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", addr)}})
		if got := e.do(request{path: "/v1/algo/foo/bar?timeout=10"}); got.status != 200 || !strings.Contains(got.body, `"result":"good"`) {
			t.Errorf("call = %d %s, want the answer", got.status, got.body)
		}
	})
}
