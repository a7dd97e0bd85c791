// Command grpcecho is a sample of gRPC: /echo.Echo/Say answers a text with the
// text, and /echo.Echo/Chat does so for each message of a stream, as long as
// its caller sends.
//
// Both messages are google.protobuf.StringValue, so that there is nothing to
// generate:
//
//	service Echo {
//	  rpc Say(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//	  rpc Chat(stream google.protobuf.StringValue) returns (stream google.protobuf.StringValue);
//	}
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

func main() { serve.Main("grpcecho", ":8080", run) }

// run serves until ctx ends, then lets calls that run end.
func run(ctx context.Context, ln net.Listener) error {
	server := grpc.NewServer()
	server.RegisterService(&service, nil)
	defer context.AfterFunc(ctx, server.GracefulStop)()
	if err := server.Serve(ln); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

var service = grpc.ServiceDesc{
	ServiceName: "echo.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
	Streams:     []grpc.StreamDesc{{StreamName: "Chat", Handler: chat, ClientStreams: true, ServerStreams: true}},
}

func say(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC's order
	in := new(wrapperspb.StringValue)
	return in, decode(in)
}

func chat(_ any, stream grpc.ServerStream) error {
	for {
		message := new(wrapperspb.StringValue)
		switch err := stream.RecvMsg(message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}
