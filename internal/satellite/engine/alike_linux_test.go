package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestConnectionsAreAnsweredAlike sends whole connections of changed, cut and
// pipelined calls to an engine with event loops and to one without: callers
// have the same answers, and replicas the same calls.
func TestConnectionsAreAnsweredAlike(t *testing.T) {
	type side struct {
		*testEngine
		mu   sync.Mutex
		seen []string
	}
	var sides [2]*side
	for i := range sides {
		s := &side{}
		strict := newStrict(t, nil)
		echo := strict.run
		strict.run = func(c lsCall) (int, string) {
			s.mu.Lock()
			s.seen = append(s.seen, fmt.Sprintf("%s %s %q", c.mediaType, c.encoding, c.body))
			s.mu.Unlock()
			return echo(c)
		}
		s.testEngine = startEngineWith(t, Options{NoFastPath: i == 1}, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", strict.addr)}})
		sides[i] = s
	}
	r := rand.New(rand.NewPCG(11, 28))
	for n := range 330 {
		send, cuts := changedConnection(r)
		var got [2][]string
		var wg sync.WaitGroup
		for i, s := range sides {
			wg.Go(func() { got[i] = s.converse(t, send, cuts) })
		}
		wg.Wait()
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("connection %d: answers (-net/http +loop):\n%s\n%.3000q", n, diff, send)
		}
		if diff := cmp.Diff(sides[1].seen, sides[0].seen); diff != "" {
			t.Errorf("connection %d: the replica's calls (-net/http +loop):\n%s\n%.3000q", n, diff, send)
		}
		sides[0].seen, sides[1].seen = nil, nil
		if t.Failed() {
			return
		}
	}
	if got := sides[0].metric(`constellation_engine_path_calls_total{path="event_loop"}`); len(got) < 3 {
		t.Errorf("the loops took %s calls: the test says little", got)
	}
}

// changedConnection is one to three calls on a connection, most of them
// changed somewhere, and where to cut what is sent.
func changedConnection(r *rand.Rand) (send []byte, cuts []int) {
	pieces := []string{
		"\r\n", "\n", "\r", " ", "\t", ":", "\x00", "\x80", "Content-Length: 3\r\n", "content-length: 4\r\n", "Transfer-Encoding: chunked\r\n", "X: y\r\n",
		"Host: y\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", " folded\r\n", "%2e", "?", "/..", "HTTP/1.0", "Content-Length : 3\r\n", "GET ", "0\r\n\r\n",
		"Content-Encoding: base64\r\n", "é", ",", "stdout=true&", "output=raw&", "timing=1&",
	}
	for range 1 + r.IntN(3) {
		call := []byte(plainCall)
		switch r.IntN(6) {
		case 0:
			call = bytes.ReplaceAll(call, []byte("\r\n"), []byte("\n"))
		case 1:
			call = []byte(strings.NewReplacer("Content-Length: 3", "Transfer-Encoding: chunked", "\r\n\r\nNeo", "\r\n\r\n3\r\nNeo\r\n0\r\n\r\n").Replace(plainCall))
		}
		for range r.IntN(3) {
			at := r.IntN(len(call) + 1)
			if r.IntN(2) == 0 { // at the start of a line
				if i := bytes.IndexByte(call[at:], '\n'); i >= 0 {
					at += i + 1
				}
			}
			switch r.IntN(3) {
			case 0:
				call = slices.Insert(call, at, []byte(pieces[r.IntN(len(pieces))])...)
			case 1:
				call = slices.Delete(call, at, min(len(call), at+1+r.IntN(4)))
			default:
				if at < len(call) {
					call[at] = byte(r.IntN(256))
				}
			}
		}
		send = append(send, call...)
		if r.IntN(3) > 0 {
			cuts = append(cuts, len(send))
		}
	}
	for range r.IntN(3) {
		cuts = append(cuts, r.IntN(len(send)))
	}
	slices.Sort(cuts)
	return send, cuts
}

var (
	madeID   = regexp.MustCompile(`req-[0-9a-f-]{36}`)
	measured = regexp.MustCompile(`"(duration|running|total)":[0-9.e-]+`)
)

// converse sends, and then what is no HTTP until the engine ends the
// connection: so it ends without the caller's doing, however it reads what
// came before. It gives the answers, without what may differ.
func (e *testEngine) converse(t *testing.T, send []byte, cuts []int) (answers []string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	over, some := make(chan bool), make(chan bool, 1000)
	go func() {
		defer close(over)
		br := bufio.NewReader(conn)
		for {
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				rest, _ := io.ReadAll(br)
				if len(rest) > 0 {
					answers = append(answers, fmt.Sprintf("%q", rest))
				}
				return
			}
			body, _ := io.ReadAll(res.Body)
			res.Header.Del("Date")
			answer := fmt.Sprintf("%d %v close=%v %s", res.StatusCode, res.Header, res.Close, body)
			some <- true
			answers = append(answers, measured.ReplaceAllString(madeID.ReplaceAllString(answer, "req-"), `"$1":0`))
		}
	}()
	from := 0
	for _, cut := range append(slices.Clip(cuts), len(send)) {
		_, _ = conn.Write(send[from:cut])
		from = cut
		select { // mostly an answer: what follows a call at once is net/http's
		case <-some:
		case <-over:
		case <-time.After(10 * time.Millisecond):
		}
	}
	for size := 512; ; size = min(2*size, 64<<10) {
		_, _ = conn.Write(bytes.Repeat([]byte("\x00\r\n\r\n..."), size/8))
		select {
		case <-over:
			return answers
		case <-time.After(2 * time.Millisecond):
		}
	}
}
