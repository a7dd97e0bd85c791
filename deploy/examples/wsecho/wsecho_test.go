package main

import (
	"context"
	"net"
	"testing"

	"github.com/coder/websocket"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestEcho(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln) }()
	conn, err := callers.Caller{Base: "http://" + ln.Addr().String()}.WebSocket(t.Context(), "echo", "")
	if err != nil {
		t.Fatal(err)
	}
	for kind, message := range map[websocket.MessageType]string{websocket.MessageText: "hé", websocket.MessageBinary: "\x00\xff"} {
		if err := conn.Write(t.Context(), kind, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if gotKind, got, err := conn.Read(t.Context()); err != nil || gotKind != kind || string(got) != message {
			t.Errorf("%v %q comes back as %v %q, %v", kind, message, gotKind, got, err)
		}
	}
	end()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the end of the container is heard as %v, want a close frame of status 1001", err)
	}
	if err := waittest.Receive(t, "the end of run", ended); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}
