package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// dial connects to the engine, as TCP.
func (e *testEngine) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(waittest.Timeout))
	return conn.(*net.TCPConn)
}

// both runs a test against the event loops and against net/http alone.
func both(t *testing.T, run func(t *testing.T, opts Options)) {
	t.Helper()
	for name, opts := range map[string]Options{"loop": {}, "net/http": {NoFastPath: true}} {
		t.Run(name, func(t *testing.T) { run(t, opts) })
	}
}

// TestRefusedBeforeItsBodyIsRead: callers who send all before they listen
// hear why they are refused.
func TestRefusedBeforeItsBodyIsRead(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	for name, test := range map[string]struct{ from, to, want string }{
		"wrong key":      {testKey, "cst_wrong", "HTTP/1.1 401"},
		"unknown":        {"/foo/bar", "/foo/none", "HTTP/1.1 404"},
		"wrong type":     {"text/plain", "image/png", "HTTP/1.1 415"},
		"time-out":       {"timeout=100", "timeout=-5", "HTTP/1.1 400"},
		"another method": {"POST ", "PUT ", "HTTP/1.1 405"},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 8 << 20
			head := strings.NewReplacer(test.from, test.to, "Content-Length: 3", fmt.Sprint("Content-Length: ", size), "Neo", "").Replace(plainCall)
			conn := e.dial(t)
			if _, err := io.WriteString(conn, head+strings.Repeat("x", size)); err != nil {
				t.Fatalf("send the call: %v", err)
			}
			br := bufio.NewReader(conn)
			for _, want := range []string{test.want, "HTTP/1.1 200"} { // and the connection is good for more
				res, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatalf("read the answer: %v, want %s", err, want)
				}
				body, _ := io.ReadAll(res.Body)
				if got := res.Proto + " " + res.Status; !strings.HasPrefix(got, want) {
					t.Errorf("answer = %s %s, want %s", got, body, want)
				}
				_, _ = io.WriteString(conn, plainCall)
			}
		})
	}
}

// TestMemoryIsTakenAsBytesArrive: what a head promises costs nothing.
func TestMemoryIsTakenAsBytesArrive(t *testing.T) {
	r := lsRoute("foo/bar", newStrict(t, nil).addr)
	r.Queue.Limit = 1000
	e := startEngine(t, r)
	head := strings.NewReplacer("Content-Length: 3", "Content-Length: 65536", "timeout=100", "timeout=300", "Neo", "").Replace(plainCall)
	var conns []*net.TCPConn
	for range 200 {
		conn := e.dial(t)
		_, _ = io.WriteString(conn, head)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		eventually(t, "the head is read", func() bool { return unsent(conn) == 0 })
	}
	if got := e.do(request{body: "Neo"}); got.status != 200 {
		t.Errorf("another call = %d, want 200", got.status)
	}
	if live := bufferBytes(e); live > 200*(16<<10) {
		t.Errorf("200 heads without bodies hold %d KiB, want at most 16 each", live>>10)
	}
	for _, conn := range conns {
		_, _ = io.WriteString(conn, strings.Repeat("x", 65536))
	}
	for _, conn := range conns {
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("a call whose body came later = %v, %v; want 200", res, err)
		}
	}
}

// bufferBytes is what the loops hold for calls that are not complete.
func bufferBytes(e *testEngine) int {
	total, wg := 0, sync.WaitGroup{}
	var mu sync.Mutex
	for _, l := range e.server.Load().loops {
		wg.Add(1)
		l.PostFunc(func() {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			for cl := l.clients.next; cl != &l.clients; cl = cl.next {
				if cl.in != nil {
					total += cap(cl.in.B)
				}
			}
		})
	}
	wg.Wait()
	return total
}

// TestOutOfDescriptors: with none left the engine neither spins nor forgets
// its callers: idle connections make room.
func TestOutOfDescriptors(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	first := e.dial(t)
	_, _ = io.WriteString(first, plainCall)
	if res, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil || res.StatusCode != 200 {
		t.Fatalf("call = %v, %v", res, err)
	}
	eventually(t, "the idle connection to the replica is closed", func() bool { return s.count(&s.conns) == 0 })
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(second) }()
	limit := unix.Rlimit{Cur: uint64(second), Max: old.Max} // not one more
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) }()
	addr := e.Addr(t)
	if err := unix.Connect(second, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine says so", func() bool { return strings.Contains(e.log.String(), "connections cannot be accepted") })
	_ = first.SetReadDeadline(time.Now().Add(2 * time.Minute))
	if n, err := first.Read(make([]byte, 1)); err == nil {
		t.Errorf("the idle connection got %d bytes, want its end", n)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(second, []byte(strings.Replace(plainCall, "keep-alive", "close", 1))); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := unix.Read(second, answer)
	if err != nil || !strings.HasPrefix(string(answer[:max(n, 0)]), "HTTP/1.1 200") {
		t.Errorf("the connection that waited = %.100q, %v, want 200", answer[:max(n, 0)], err)
	}
	if said := strings.Count(e.log.String(), "connections cannot be accepted"); said > 2 {
		t.Errorf("the engine said so %d times", said)
	}
}

// Addr is where the engine takes calls.
func (e *testEngine) Addr(t *testing.T) *net.TCPAddr {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestConnectionChurn: connections that come and go, some in the middle of a
// call, leave nothing behind and disturb nobody.
func TestConnectionChurn(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				if (i+j)%3 == 0 {
					_ = conn.(*net.TCPConn).SetLinger(0) // a reset
				}
				_, _ = io.WriteString(conn, plainCall[:(i*200+j*7)%(len(plainCall)+1)])
				_ = conn.Close()
			}
		})
	}
	for range 50 {
		if got := e.do(request{body: "Neo"}); got.status != 200 || !strings.Contains(got.body, "Neo") {
			t.Errorf("another call = %d %s", got.status, got.body)
		}
	}
	wg.Wait()
	eventually(t, "no call is left", func() bool {
		a := e.Snapshot().Algorithms[0]
		return a.InFlight == 0 && a.Queued == 0
	})
	eventually(t, "no connection is left", func() bool {
		left, done := 0, make(chan int)
		for _, l := range e.server.Load().loops {
			l.PostFunc(func() { done <- l.count })
			left += waittest.Receive(t, "the loop", done)
		}
		return left <= 2 // the test's own
	})
}

// TestReplicaThatEndsWithItsAnswer: a connection whose end comes in the same
// moment as the answer, without a word of it, is not used for the next call.
func TestReplicaThatEndsWithItsAnswer(t *testing.T) {
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(goodReply), goodReply)
	addr := wireReplica(t, func(w io.Writer) {
		conn := w.(*net.TCPConn)
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
		_, _ = io.WriteString(conn, answer)
		_ = conn.CloseWrite() // one segment
	})
	both(t, func(t *testing.T, opts Options) {
		e := startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", addr)}})
		conn := e.dial(t)
		br := bufio.NewReader(conn)
		for i := range 50 {
			_, _ = io.WriteString(conn, plainCall)
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"result":"good"`) {
				t.Fatalf("call %d = %d %s, want the answer", i, res.StatusCode, body)
			}
		}
	})
}

// TestBareLineFeedsOfACaller: net/http has such a call at once, and not after
// the time that a loop waits for the rest of one.
func TestBareLineFeedsOfACaller(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	e.do(request{})
	for _, call := range []string{strings.ReplaceAll(plainCall, "\r\n", "\n"), strings.Replace(plainCall, "\r\n", "\n", 1)} {
		conn := e.dial(t)
		_, _ = io.WriteString(conn, call)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("call = %v, %v; want 200", res, err)
		}
	}
	if late := e.metric(`constellation_engine_handovers_total{of="call",reason="unfinished"}`); late != "0" {
		t.Errorf("%s of the calls were waited for, want none", late)
	}
}
