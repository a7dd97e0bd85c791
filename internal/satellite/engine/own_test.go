package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestEveryAnswerIsItsCallersOwn: callers of every kind at once, on event loops
// and on net/http, some of whom leave in the middle, while files are read again
// and replicas end connections. Each answer has its own call's body and id.
func TestEveryAnswerIsItsCallersOwn(t *testing.T) {
	const callers, calls = 16, 60
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		if len(body)%3 == 0 {
			w.Header().Set("Connection", "close")
		}
		if len(body)%2 == 0 {
			w.(http.Flusher).Flush() // and so in chunks
		}
		_, _ = w.Write(body)
	}
	direct := httpRoute("foo/http", httpReplica(t, echo), httpReplica(t, echo))
	direct.Concurrency = 4
	routes := config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", newStrict(t, nil).addr, newStrict(t, nil).addr), direct}}
	for i := range routes.Algorithms {
		routes.Algorithms[i].Queue.Limit = 1000
	}
	e := startEngineWith(t, Options{Loops: 2}, routes)
	e.do(request{body: "first"})
	var over atomic.Bool
	var wg, rest sync.WaitGroup
	rest.Go(func() {
		for n := 0; !over.Load(); n++ {
			e.writeKeys(config.Key{ID: "k1", Name: fmt.Sprint("test", n), SHA256: config.HashKey(testKey)})
			routes.Satellite.Version = 1 + n%2
			e.writeRoutes(routes)
		}
	})
	for i := range callers {
		wg.Go(func() {
			c := &ownCaller{e: e, t: t, r: rand.New(rand.NewPCG(uint64(i), 1)), name: fmt.Sprint("caller-", i)}
			for range calls {
				c.call()
			}
			c.leave()
		})
	}
	wg.Wait()
	over.Store(true)
	rest.Wait()
	for _, path := range []string{"event_loop", "net_http"} {
		if got := e.metric(fmt.Sprintf("constellation_engine_path_calls_total{path=%q}", path)); len(got) < 3 {
			t.Errorf("%s had %s calls: the test says little", path, got)
		}
	}
	eventually(t, "no call is left", func() bool {
		for _, a := range e.Snapshot().Algorithms {
			if a.InFlight > 0 || a.Queued > 0 {
				return false
			}
		}
		return true
	})
}

// ownCaller makes calls of every kind on a connection.
type ownCaller struct {
	e    *testEngine
	t    *testing.T
	r    *rand.Rand
	name string
	n    int
	conn net.Conn
	br   *bufio.Reader
}

func (c *ownCaller) leave() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// call makes a call, or two in a row, and checks what comes back.
func (c *ownCaller) call() {
	if c.conn == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.e.url, "http://"))
		if err != nil {
			c.t.Error(err)
			return
		}
		_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
		c.conn, c.br = conn, bufio.NewReader(conn)
	}
	var send []byte
	var ids, bodies []string
	together := 1 + c.r.IntN(5)/4
	for range together {
		c.n++
		id := fmt.Sprintf("%s-%d", c.name, c.n)
		body := id + strings.Repeat(" "+id, []int{0, 1, 20, 500, 5000, 15_000}[c.r.IntN(6)])
		ids, bodies = append(ids, id), append(bodies, body)
		send = append(send, c.request(id, body, together == 1)...)
	}
	if c.r.IntN(12) == 0 { // in the middle of the call, or of sending it
		_, _ = c.conn.Write(send[:1+c.r.IntN(len(send))])
		c.leave()
		return
	}
	sent := make(chan bool)
	go func(conn net.Conn) {
		defer close(sent)
		half := len(send) / 2
		_, _ = conn.Write(send[:half])
		_, _ = conn.Write(send[half:])
	}(c.conn)
	closes := false
	for i, id := range ids {
		if closes {
			break
		}
		closes = c.check(id, bodies[i])
	}
	<-sent
	if closes {
		c.leave()
	}
}

// request makes a call in one of the ways to write it. A chunked one is its
// connection's last.
func (c *ownCaller) request(id, body string, last bool) []byte {
	head := strings.NewReplacer("my-id", id, "foo/bar", []string{"foo/bar", "foo/http"}[c.r.IntN(2)])
	length := fmt.Sprint("Content-Length: ", len(body))
	call := []byte(strings.Replace(head.Replace(strings.TrimSuffix(plainCall, "Neo")), "Content-Length: 3", length, 1))
	switch way := c.r.IntN(5); {
	case way == 0:
		call = bytes.ReplaceAll(call, []byte("\r\n"), []byte("\n"))
	case way == 1 && last:
		call = bytes.Replace(call, []byte(length), []byte("Transfer-Encoding: chunked"), 1)
		return fmt.Appendf(call, "%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	return append(call, body...)
}

// check reads an answer and compares it with what was asked; it says whether
// the connection ends with it.
func (c *ownCaller) check(id, body string) (closes bool) {
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Errorf("%s: %v", id, err)
		return true
	}
	data, err := io.ReadAll(res.Body)
	var got struct {
		Result string `json:"result"`
	}
	_ = json.Unmarshal(data, &got)
	if err != nil || res.StatusCode != http.StatusOK || got.Result != body || res.Header.Get("X-Request-Id") != id {
		c.t.Errorf("%s: the answer of %s is %d, %v: %.200s; want %.60q back", id, res.Header.Get("X-Request-Id"), res.StatusCode, err, data, body)
	}
	return res.Close || err != nil
}
