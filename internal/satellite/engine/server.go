package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
)

// server is the fast path: one event loop a core answers plain, small calls
// with no goroutine, no timer and hardly an allocation each. Whatever is not
// plain is handed, with the bytes that were read, to net/http, which then has
// that connection until it ends. A nil server has no loops.
type server struct {
	e        *Engine
	group    *eventloop.Group
	loops    []*loop
	slow     *eventloop.Handover
	listener net.Listener
}

// newServer starts the loops; nil when this listener or system has no fast path.
func newServer(e *Engine, calls net.Listener) (*server, error) {
	tcp, ok := calls.(*net.TCPListener)
	if !ok || e.opts.NoFastPath || !eventloop.Supported {
		return nil, nil
	}
	s := &server{e: e, slow: eventloop.NewHandover(calls.Addr()), listener: calls}
	loops := cmp.Or(e.opts.Loops, runtime.GOMAXPROCS(0))
	group, err := eventloop.New(eventloop.Options{
		Loops: loops, Listener: tcp, Log: e.log,
		Attach: func(on *eventloop.Loop) eventloop.Owner {
			l := newLoop(s, on, int(e.requests.Size())/2/loops)
			s.loops = append(s.loops, l)
			return l
		},
		OnOff: func() {
			e.log.Error("the event loop is turned off after a panic: all calls go through net/http until the engine starts again; please report it, with the log")
		},
	})
	if err != nil {
		return nil, err
	}
	s.group = group
	return s, nil
}

// handOver hands a connection over to net/http, with what was read of it.
func (s *server) handOver(conn net.Conn, data []byte, why telemetry.Handover) {
	s.e.paths.CountHandover(why)
	s.slow.Give(eventloop.NewPrefixConn(conn, append([]byte(nil), data...)))
}

// drain waits until every connection has ended; idle ones are closed. When
// ctx ends first, all are.
func (s *server) drain(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.group.Refuse()
	var wg sync.WaitGroup
	for _, l := range s.loops {
		wg.Add(1)
		l.PostFunc(func() { l.drained = wg.Done; l.closeIdleClients() })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the loops and with them every connection they have.
func (s *server) close() {
	if s != nil {
		s.group.Close()
	}
}

// calls returns how many calls the loops took, and whether they take more.
func (s *server) calls() (n uint64, on bool) {
	if s == nil {
		return 0, false
	}
	for _, l := range s.loops {
		n += l.calls.Load()
	}
	return n, !s.group.IsOff()
}

// serveWithout serves new connections by the HTTP server once the loops are off.
func (s *server) serveWithout(ctx context.Context, server *http.Server) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.group.Off():
	}
	err := server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
}
