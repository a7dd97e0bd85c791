package transfer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// wire is a way to a server that counts the bytes in both directions, whatever
// they say: requests, headers and answers too.
type wire struct {
	address  string
	up, down atomic.Int64

	mu   sync.Mutex
	at   int64  // bytes up at which then is called, once
	then func() // nil for nothing
}

// newWire listens, and carries every connection to the server at address.
func newWire(t *testing.T, address string) *wire {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &wire{address: listener.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { w.carry(ctx, near, address) })
		}
	})
	t.Cleanup(func() { stop(); _ = listener.Close(); open.Wait() })
	return w
}

// carry is one connection, until both ends are done with it.
func (w *wire) carry(ctx context.Context, near net.Conn, address string) {
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		_ = near.Close()
		return
	}
	end := context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })
	defer end()
	var both sync.WaitGroup
	both.Go(func() { w.pump(far, near, &w.up) })
	both.Go(func() { w.pump(near, far, &w.down) })
	both.Wait()
	_, _ = near.Close(), far.Close()
}

// pump carries one direction, and then says that it has ended.
func (w *wire) pump(to, from net.Conn, count *atomic.Int64) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
			if total := count.Add(int64(n)); count == &w.up {
				w.reached(total)
			}
		}
		if err != nil {
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		}
	}
}

// when calls then once so many bytes went up since the last reset; nothing
// more goes on that connection until it returns.
func (w *wire) when(bytes int64, then func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.then = bytes, then
}

func (w *wire) reached(total int64) {
	w.mu.Lock()
	then := w.then
	if then == nil || total < w.at {
		w.mu.Unlock()
		return
	}
	w.then = nil
	w.mu.Unlock()
	then()
}

// reset begins to count anew.
func (w *wire) reset() { w.up.Store(0); w.down.Store(0) }
