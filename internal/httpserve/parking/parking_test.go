package parking

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// parked serves a handler that parks every connection it has answered on.
func parked(t *testing.T, idle time.Duration, secured bool) (*Lot, *httptest.Server) {
	t.Helper()
	if !supported {
		t.Skip("connections are parked on Linux only")
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		answer := fmt.Sprintf("%s, over TLS: %t", body, r.TLS != nil)
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = io.WriteString(w, answer)
		Park(w, r)
	}))
	if secured {
		server.StartTLS() // for a certificate
		config := server.TLS
		server.Listener.Close() //nolint:errcheck // another follows
		server = httptest.NewUnstartedServer(server.Config.Handler)
		server.Listener = tls.NewListener(server.Listener, config)
	}
	lot, err := New(server.Listener, idle)
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = lot
	server.Config.BaseContext = func(net.Listener) context.Context { return lot.Context(context.Background()) }
	server.Start()
	t.Cleanup(server.Close)
	return lot, server
}

// caller is one connection.
type caller struct {
	t *testing.T
	net.Conn
	answers *bufio.Reader
}

func call(t *testing.T, address net.Addr, secured bool) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	if secured {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &caller{t, conn, bufio.NewReader(conn)}
}

func (c *caller) send(body string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) wants(answer string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || string(body) != answer {
		c.t.Fatalf("the answer is %s, %q, %v; want 200 with %q", response.Status, body, err, answer)
	}
}

func wait(t *testing.T, lot *Lot, n int) {
	t.Helper()
	waittest.Until(t, fmt.Sprintf("%d parked connections", n), func() bool { return lot.Parked() == n })
}

// A caller that says something now and then is answered each time on the connection
// it has, and between two times only the lot knows it.
func TestPark(t *testing.T) {
	t.Parallel()
	for _, secured := range []bool{false, true} {
		lot, server := parked(t, time.Minute, secured)
		callers := make([]*caller, 20)
		for i := range callers {
			callers[i] = call(t, server.Listener.Addr(), secured)
		}
		for round := range 3 {
			for i, c := range callers {
				c.send(fmt.Sprintf("%d of %d", round, i))
			}
			for i, c := range callers {
				c.wants(fmt.Sprintf("%d of %d, over TLS: %t", round, i, secured))
			}
			wait(t, lot, len(callers))
		}
		for _, c := range callers[:5] {
			_ = c.Close()
		}
		wait(t, lot, len(callers)-5)
		if err := lot.Close(); err != nil {
			t.Fatal(err)
		}
		wait(t, lot, 0)
		for _, c := range callers[5:] {
			if n, err := c.answers.ReadByte(); err == nil {
				t.Errorf("a parked connection has %q after the end, want its end", n)
			}
		}
	}
}

// A request in two pieces, long after each other, is one request.
func TestParkHalfARequest(t *testing.T) {
	t.Parallel()
	lot, server := parked(t, time.Minute, false)
	c := call(t, server.Listener.Addr(), false)
	c.send("first")
	c.wants("first, over TLS: false")
	wait(t, lot, 1)
	if _, err := io.WriteString(c, "POST / HT"); err != nil {
		t.Fatal(err)
	}
	wait(t, lot, 0)
	if _, err := io.WriteString(c, "TP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nrest"); err != nil {
		t.Fatal(err)
	}
	c.wants("rest, over TLS: false")
	wait(t, lot, 1)
}

// Who sends on before the answer is there is answered too, in order.
func TestParkPipelined(t *testing.T) {
	t.Parallel()
	lot, server := parked(t, time.Minute, false)
	c := call(t, server.Listener.Addr(), false)
	var both strings.Builder
	for _, body := range []string{"one", "two", "three"} {
		fmt.Fprintf(&both, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	if _, err := io.WriteString(c, both.String()); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", "two", "three"} {
		c.wants(body + ", over TLS: false")
	}
	c.send("four")
	c.wants("four, over TLS: false")
	if n := lot.Parked(); n != 0 {
		t.Errorf("%d connections are parked with what was read of them, want none", n)
	}
}

// A connection that asks to be closed is closed, and one that is quiet too long.
func TestParkEnds(t *testing.T) {
	t.Parallel()
	lot, server := parked(t, 100*time.Millisecond, false)
	c := call(t, server.Listener.Addr(), false)
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	c.wants("x, over TLS: false")
	if _, err := c.answers.ReadByte(); err != io.EOF {
		t.Errorf("after Connection: close there is %v, want the end", err)
	}
	c = call(t, server.Listener.Addr(), false)
	c.send("then nothing")
	c.wants("then nothing, over TLS: false")
	if _, err := c.answers.ReadByte(); err != io.EOF {
		t.Errorf("after a long silence there is %v, want the end", err)
	}
	wait(t, lot, 0)
}

// Without a file for one more connection, those that were quiet for longest go.
func TestParkMakesRoom(t *testing.T) {
	t.Parallel()
	lot, server := parked(t, time.Minute, false)
	callers := make([]*caller, 16)
	for i := range callers {
		callers[i] = call(t, server.Listener.Addr(), false)
		callers[i].send("x")
		callers[i].wants("x, over TLS: false")
		wait(t, lot, i+1)
	}
	lot.makeRoom()
	wait(t, lot, 13)
	for i, c := range callers {
		if i < 3 {
			if _, err := c.answers.ReadByte(); err != io.EOF {
				t.Errorf("connection %d has %v, want its end", i, err)
			}
			continue
		}
		c.send("x")
		c.wants("x, over TLS: false")
	}
}
