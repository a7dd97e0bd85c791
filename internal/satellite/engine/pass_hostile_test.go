package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// rawReplica answers every connection with a text, and closes it.
func rawReplica(t *testing.T, answer string) string {
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
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

// What a replica answers that is no answer is 502, or seen to break off; nothing
// of another answer is in it.
func TestHostileReplicas(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		status int
		broken bool
	}{
		"nothing":             {"", 502, false},
		"no HTTP":             {"SSH-2.0-OpenSSH\r\n", 502, false},
		"a head of 1 MB":      {"HTTP/1.1 200 OK\r\nX-Large: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 502, false},
		"half a head":         {"HTTP/1.1 200 OK\r\nContent-Le", 502, false},
		"two lengths":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 502, false},
		"an upgrade":          {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: smtp\r\n\r\nHELO", 502, false},
		"half of a length":    {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 200, true},
		"half of the chunks":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200, true},
		"half a chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", 200, true},
		"two answers":         {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalfHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother", 200, false},
		"until the end":       {"HTTP/1.1 200 OK\r\n\r\nhalf", 200, false},
		"a hint, then answer": {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEngine(t, httpRoute("foo/bar", rawReplica(t, test.answer)))
			got, err := e.try(t.Context(), request{method: "GET", path: "/v1/algo/foo/bar/x"})
			if got.status != test.status || test.broken != (err != nil) || test.status == 200 && got.body != "half" {
				t.Errorf("answer = %d %.100q, %v; want %d, broken %v", got.status, got.body, err, test.status, test.broken)
			}
			eventually(t, "the slot is free", func() bool { return e.table.Load().Routes[0].Pool.State().InFlight == 0 })
		})
	}
}

// What callers do not read stays at the replica: the engine's memory does not
// grow with it, and in the end they are let go with their slots.
func TestReadersThatStop(t *testing.T) {
	const readers = 100
	var started, written atomic.Int64
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		started.Add(1)
		block := make([]byte, 16<<10)
		for {
			n, err := w.Write(block)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	r.Concurrency, r.IdleTimeout = readers, "2s"
	e := startEngine(t, r)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range readers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		_, _ = fmt.Fprintf(conn, "GET /v1/algo/foo/bar/x HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n", testKey)
	}
	state := e.table.Load().Routes[0].Pool
	peak := before.HeapInuse
	eventually(t, "they are let go", func() bool {
		runtime.ReadMemStats(&during)
		peak = max(peak, during.HeapInuse)
		return started.Load() == readers && state.State().InFlight == 0
	})
	if grown := int64(peak) - int64(before.HeapInuse); grown > readers*512<<10 || written.Load() == 0 {
		t.Errorf("%d readers that stop take %d KB of the heap each, after %d bytes", readers, grown/readers>>10, written.Load())
	}
	if got := e.do(request{method: "GET", path: "/v1/status"}); got.status != 200 {
		t.Errorf("after them the engine answers %d", got.status)
	}
}

// A drain lets a stream end, tells a WebSocket, and takes nothing new.
func TestDrainTellsStreams(t *testing.T) {
	next := make(chan struct{})
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			conn, err := websocket.Accept(w, r, nil)
			if err == nil {
				_, _, _ = conn.Read(r.Context())
			}
			return
		}
		for range 2 {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}))
	e := startEngine(t, r)
	conn, err := callers.Caller{Base: e.url + "/v1/algo", Key: testKey}.WebSocket(t.Context(), "foo/bar", "/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	req, err := http.NewRequestWithContext(t.Context(), "GET", e.url+"/v1/algo/foo/bar/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", testKey)
	res, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	e.stop()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("a drain is heard by a WebSocket as %v, want a close frame of status 1001", err)
	}
	next <- struct{}{}
	next <- struct{}{}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "halfhalf" {
		t.Errorf("the stream that a drain found is %q, %v; want it whole", body, err)
	}
}

// A path is passed on as it was written, also where it has what no path should
// have unencoded.
func TestPathsKeepTheirSpelling(t *testing.T) {
	e := startEngine(t, httpRoute("foo/bar", httpReplica(t, mirror)))
	for _, path := range []string{"/a%2Fb", "/a%2Fb|c", `/a%2Fb"c`, "/a%2Fb^c", "/%7Ea~", "/a%2Fb[c]", "/a%20%2F%20b", "/é%2F"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(waittest.Timeout))
		_, _ = fmt.Fprintf(conn, "GET /v1/algo/foo/bar%s HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", path, testKey)
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), "%2F") && strings.Contains(path, "%2F") {
			t.Errorf("%s reaches the container as %.300s, %v", path, answer, err)
		}
		_ = conn.Close()
	}
}

// One connection carries requests that are passed on and calls, one after the
// other, sent all at once.
func TestPipelinedRequests(t *testing.T) {
	e := startEngine(t, httpRoute("foo/bar", httpReplica(t, mirror)), lsRoute("foo/ls", newStrict(t, nil).addr))
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(waittest.Timeout))
	head := " HTTP/1.1\r\nHost: a\r\nAuthorization: " + testKey + "\r\nContent-Type: text/plain\r\nContent-Length: "
	_, _ = io.WriteString(conn, "POST /v1/algo/foo/ls"+head+"3\r\n\r\none"+"POST /v1/algo/foo/bar/x"+head+"3\r\n\r\ntwo"+"GET /v1/algo/foo/bar/y"+head+"0\r\n\r\n"+"POST /v1/algo/foo/ls"+head+"4\r\n\r\nfour")
	br := bufio.NewReader(conn)
	for i, want := range []string{`"result":"one"`, `POST /x "two"`, `GET /y ""`, `"result":"four"`} {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("answer %d = %s, %v; want %s", i, body, err, want)
		}
	}
}
