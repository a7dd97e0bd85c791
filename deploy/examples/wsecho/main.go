// Command wsecho is a sample of a WebSocket: whatever comes in at /echo goes back,
// text as text and bytes as bytes. One connection is one slot of the replica. When
// the container ends, callers are told with a close frame.
package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

const maxMessage = 1 << 20

func main() { serve.Main("wsecho", ":8080", run) }

func run(ctx context.Context, ln net.Listener) error {
	s := server{ending: ctx}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serve.Healthy)
	mux.HandleFunc("GET /echo", s.echo)
	err := serve.Until(ctx, ln, mux)
	s.open.Wait()
	return err
}

type server struct {
	ending context.Context // ends when the container does
	open   sync.WaitGroup  // connections
}

func (s *server) echo(w http.ResponseWriter, r *http.Request) {
	// Who may call has been decided by the satellite's engine, by the key: a page
	// of any origin that has one.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	s.open.Add(1)
	defer s.open.Done()
	defer func() { _ = conn.CloseNow() }()
	defer context.AfterFunc(s.ending, func() { _ = conn.Close(websocket.StatusGoingAway, "the server ends") })()
	conn.SetReadLimit(maxMessage)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return // closed, or gone
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}
