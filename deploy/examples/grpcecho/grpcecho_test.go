package main

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

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
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	out := new(wrapperspb.StringValue)
	if err := conn.Invoke(t.Context(), "/echo.Echo/Say", wrapperspb.String("Neo"), out); err != nil || out.Value != "Neo" {
		t.Errorf("Say = %q, %v", out.Value, err)
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/echo.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"one", "two"} {
		if err := stream.SendMsg(wrapperspb.String(message)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(out); err != nil || out.Value != message {
			t.Errorf("Chat = %q, %v; want %s", out.Value, err, message)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	end()
	if err := waittest.Receive(t, "the end of run", ended); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}
