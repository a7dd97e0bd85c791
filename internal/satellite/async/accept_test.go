package async

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// gated is a connection on which nothing is written while its gate is locked.
type gated struct {
	net.Conn
	gate *sync.RWMutex
}

func (g gated) Write(p []byte) (int, error) {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Conn.Write(p)
}

// forward carries connections to an address until the test ends.
func forward(t *testing.T, listener net.Listener, to string, gate *sync.RWMutex) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			target, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, target}, {target, from}} {
				go func() { _, _ = io.Copy(gated{way[0], gate}, way[1]); _ = way[0].Close() }()
			}
		}
	}()
}

// TestAQueueThatHangs: whoever calls is told in time, though no connection breaks.
func TestAQueueThatHangs(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret that is long enough")
	host := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(255))
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: secret, ClientListen: host + "1:4222"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	listener, err := net.Listen("tcp", host+"2:4222")
	if err != nil {
		t.Fatal(err)
	}
	var gate sync.RWMutex
	forward(t, listener, host+"1:4222", &gate)
	q, err := queue.Connect(t.Context(), queue.Options{Servers: []string{host + "2:4222"}, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	eventually(t, "the queue is ready", func() bool { return q.Ready() == nil })
	s := start(t, q, Options{}, func(context.Context, Input) Outcome { return answered("") })
	for _, key := range []string{"", "a key"} {
		gate.Lock()
		begun := time.Now()
		_, f := s.Accept(t.Context(), Submission{Input: Input{VanityURL: "foo/bar", KeyID: "k", ContentType: "text/plain"}, Algorithm: "neo/hello/0", IdempotencyKey: key})
		took := time.Since(begun)
		gate.Unlock()
		if f == nil || f.Status != 503 || took > 4*time.Second {
			t.Errorf("with the key %q: %v after %v, want 503 within two seconds or little more", key, f, took)
		}
		eventually(t, "the queue is ready again", func() bool { return q.Ready() == nil })
	}
}
