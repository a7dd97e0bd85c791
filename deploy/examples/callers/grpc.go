package callers

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// GRPC is a connection on which a generated client calls an algorithm: each
// method's path goes below the algorithm's, and the key goes with each call.
//
//	client := pb.NewEchoClient(callers.GRPC{ClientConnInterface: conn, Algorithm: "demo/echo", Key: key})
type GRPC struct {
	grpc.ClientConnInterface        // of the engine
	Algorithm                string // OWNER/NAME
	Key                      string // of the satellite
}

// Invoke makes a call with one message each way.
func (c GRPC) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(c.with(ctx), c.path(method), args, reply, options...)
}

// NewStream begins a call with a stream of messages.
func (c GRPC) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(c.with(ctx), desc, c.path(method), options...)
}

func (c GRPC) path(method string) string { return "/v1/algo/" + c.Algorithm + method }

func (c GRPC) with(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.Key)
}
