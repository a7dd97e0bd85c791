package passthrough

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// A WebSocket that is opened while the engine goes away is told so at once.
func TestOpenedWhileGoing(t *testing.T) {
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err == nil {
			_, _, _ = conn.Read(r.Context())
		}
	}))
	t.Cleanup(replica.Close)
	transport, sockets := NewTransport(), &Sockets{}
	sockets.GoAway()
	ended := make(chan error, 1)
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := Target("/", "")
		if err != nil {
			ended <- err
			return
		}
		x := New(w, r, Options{Target: target, Base: "/", Idle: time.Minute})
		defer x.Close()
		res, err := x.Send(transport, replica.Listener.Addr().String())
		if err == nil {
			err = x.Upgrade(res, sockets)
		}
		ended <- err
	}))
	t.Cleanup(engine.Close)
	conn, _, err := websocket.Dial(t.Context(), engine.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("it ends with %v, want a close frame of status 1001", err)
	}
	if err := waittest.Receive(t, "the end of the exchange", ended); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("the exchange ends with %v", err)
	}
}
