package engine

import (
	"encoding/base64"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// TestRepliesThatNobodyReads: callers of one key who read nothing fill the
// key's share of the budget for replies and no more, and another key's caller
// has an answer as large at once.
func TestRepliesThatNobodyReads(t *testing.T) {
	const callers, limit = 24, 256 << 20
	old := debug.SetMemoryLimit(limit)
	t.Cleanup(func() { debug.SetMemoryLimit(old) })
	reply := `"` + strings.Repeat("x", protocol.MaxOutput-2) + `"`
	both(t, func(t *testing.T, opts Options) {
		var began, ended atomic.Int32
		r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
			began.Add(1)
			defer ended.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, reply)
		}))
		r.Concurrency = 2 * callers
		opts.replies = memory.NewBudget(memory.DefaultSize(), time.Second)
		e := startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{r}})
		e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)}, config.Key{ID: "k2", Name: "other", SHA256: config.HashKey("cst_other")})
		eventually(t, "the second key is known", func() bool {
			return e.do(request{auth: "cst_other", path: "/v1/algo/foo/none"}).status == http.StatusNotFound
		})
		before := heap()
		call := strings.Replace(plainCall, "timeout=100", "timeout=3000", 1)
		for range callers {
			_, _ = io.WriteString(e.dial(t), call)
		}
		eventually(t, "every call has run", func() bool { return ended.Load() == callers })
		eventually(t, "one more call of the key finds no room for its reply", func() bool {
			return strings.Contains(e.do(request{}).body, "the reply found no room")
		})
		if grown := heap() - before; grown > limit/2 {
			t.Errorf("%d replies of 15 MiB that nobody reads hold %d MiB, want at most %d", callers, grown>>20, limit/2>>20)
		}
		if got := e.do(request{auth: "cst_other"}); got.status != http.StatusOK || len(got.body) < protocol.MaxOutput {
			t.Errorf("another key's call = %d and %d bytes %.200s, want its answer", got.status, len(got.body), got.body)
		}
	})
}

// heap is how much memory is in use after what nobody needs is freed.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the first one leaves what pools keep
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestRepliesThatWereReadLeaveTheirRoom: large replies of every form come
// whole, and nothing of the rooms is left in use after them.
func TestRepliesThatWereReadLeaveTheirRoom(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		large := strings.Repeat("a\x01\"é", 300_000)
		r := httpRoute("foo/http", httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			_, _ = io.Copy(w, r.Body)
		}))
		r.Concurrency = 8
		s := newStrict(t, nil)
		e := startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{r, lsRoute("foo/bar", s.addr)}})
		var wg sync.WaitGroup
		for _, path := range []string{"/v1/algo/foo/http", "/v1/algo/foo/http?output=raw", "/v1/algo/foo/bar", "/v1/algo/foo/bar?output=raw&stdout=true"} {
			for _, kind := range []string{protocol.MediaText, protocol.MediaBinary, protocol.MediaJSON} {
				for _, chunked := range []bool{false, true} {
					body := large
					switch kind {
					case protocol.MediaJSON:
						body = "[ " + string(jsonscan.AppendQuoted(nil, large)) + " ]"
					case protocol.MediaBinary:
						body = base64.StdEncoding.EncodeToString([]byte(large))
					}
					wg.Go(func() {
						got := e.do(request{path: path, contentType: kind, body: body, chunked: chunked})
						if got.status != 200 || len(got.body) < len(large) {
							t.Errorf("%s %s chunked=%v = %d %.200s", path, kind, chunked, got.status, got.body)
						}
					})
				}
			}
		}
		wg.Wait()
		for name, budget := range map[string]*memory.Budget{"requests": e.requests, "replies": e.replies} {
			eventually(t, name+" leave their room", func() bool { used, _ := budget.State(); return used == 0 })
			if _, refused := budget.State(); refused > 0 {
				t.Errorf("%d %s had no room, want room for all", refused, name)
			}
		}
	})
}

// TestResultsAreCounted: what is read of the queue for a caller has its share of
// the memory for replies, and waits for it before it is read.
func TestResultsAreCounted(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{replies: memory.NewBudget(8<<20, 50*time.Millisecond)}, lsRoute("foo/bar", s.addr))
	id := e.void(request{body: strings.Repeat("x", 2<<20)})
	e.ended(id)
	get := request{method: http.MethodGet, path: "/v1/async/" + id + "/result"}
	if got := e.do(get); got.status != 200 || len(got.body) < 2<<20 {
		t.Fatalf("the result = %d with %d bytes", got.status, len(got.body))
	}
	eventually(t, "the result leaves its room", func() bool { used, _ := e.replies.State(); return used == 0 })
	others, ok := e.replies.TryShare("another key", 7<<20)
	if !ok {
		t.Fatal("there is no room for the others")
	}
	if got := e.do(get); got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "too many large results") {
		t.Errorf("the result without room = %d %.200s, want 503", got.status, got.body)
	}
	others.Release()
	if got := e.do(get); got.status != 200 {
		t.Errorf("the result with room again = %d %.200s", got.status, got.body)
	}
}
