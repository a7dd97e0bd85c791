package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// stalled sends a request whose body lacks its last byte, and returns the status
// that it is answered with all the same.
func stalled(t *testing.T, address, request string, size int) (net.Conn, func() int) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() { // the server may answer, and close, before all is sent
		defer close(sent)
		_, _ = fmt.Fprintf(c, "%s\r\nHost: x\r\nContent-Length: %d\r\n\r\n", request, size)
		_, _ = c.Write([]byte(strings.Repeat("a", size-1)))
	}()
	return c, func() int {
		defer waittest.Hold(t, sent)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v, want an answer before the body is whole", request, err)
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
}

// TestNoKeyNoBody: who has no key is answered by the header alone, on every
// surface, and holds no memory.
func TestNoKeyNoBody(t *testing.T) {
	t.Parallel()
	i := serveInProcess(t, dataDir(t))
	address := strings.TrimPrefix(i.url, "http://")
	const uuid = "00000000-0000-0000-0000-000000000000"
	const size = 1 << 20
	for _, tt := range []struct {
		request string
		want    int
	}{
		{"POST /v1/satellites HTTP/1.1", 401}, {"PATCH /v1/satellites/" + uuid + " HTTP/1.1", 401}, {"POST /v1/users HTTP/1.1", 401},
		{"POST /v1/satellites HTTP/1.1\r\nAuthorization: Bearer cst_nonsense", 401},
		{"POST /v1/satellites/" + uuid + "/launches/" + uuid + "/heartbeat HTTP/1.1", 401},
		{"PUT /v2/neo/hello/manifests/latest HTTP/1.1", 401}, {"POST /v2/neo/hello/blobs/uploads/ HTTP/1.1", 401},
		{"PATCH /v2/neo/hello/blobs/uploads/" + uuid + " HTTP/1.1", 401},
		{"POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", 413},
		{"POST /setup HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", 413},
		{"POST /satellites/new HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", 413},
	} {
		if _, status := stalled(t, address, tt.request, size); status() != tt.want {
			t.Errorf("%q with a body that does not end is not answered %d", tt.request, tt.want)
		}
	}
}

// TestBodiesHaveABudget: forms of nobody that stall take one address's share
// of the memory, and no more; the rest is refused, and served when they end.
func TestBodiesHaveABudget(t *testing.T) {
	t.Parallel()
	i := serveInProcess(t, dataDir(t))
	address := strings.TrimPrefix(i.url, "http://")
	const size = 200 << 10
	const login = "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
	refused := make(chan int, 100)
	for range cap(refused) {
		_, status := stalled(t, address, login, size)
		go func() { refused <- status() }()
	}
	tooMany := 0
	for range cap(refused) {
		switch status := waittest.Receive(t, "an answer", refused); status {
		case 429:
			tooMany++
		case 400: // its time ended
		default:
			t.Errorf("a form that stalls = %d, want 429 or 400", status)
		}
	}
	if most := serve.MaxBodies / 4 / size; tooMany < cap(refused)-most {
		t.Errorf("of %d stalled forms of %d bytes %d were refused, want all but %d", cap(refused), size, tooMany, most)
	}
	if response, body := form(t, browser(t), i.url+"/login", map[string]string{"username": "nobody", "password": "wrong"}); response.StatusCode != 401 {
		t.Errorf("a form after the stalled ones = %d %.200s, want 401", response.StatusCode, body)
	}
}
