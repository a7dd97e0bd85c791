package engine

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// echoSocket is a WebSocket server that answers each message with itself; ended
// gets how each connection ended.
func echoSocket(t *testing.T, ended chan<- error) string {
	t.Helper()
	return httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/chat" {
			http.Error(w, "no chat here", http.StatusNotFound)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		c.SetReadLimit(1 << 20)
		for {
			kind, message, err := c.Read(r.Context())
			if err == nil {
				err = c.Write(r.Context(), kind, message)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	})
}

func (e *testEngine) socket(ctx context.Context, path, key string) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, e.url+path, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {key}}}) //nolint:bodyclose // the library says that it need not be
}

func TestWebSockets(t *testing.T) {
	ended := make(chan error, 4)
	r := httpRoute("foo/bar", echoSocket(t, ended))
	r.Concurrency = 1
	e := startEngine(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	for _, test := range []struct {
		path, key string
		want      int
	}{{"/v1/algo/foo/bar/chat", "wrong", 401}, {"/v1/algo/foo/bar/none", testKey, 404}, {"/v1/algo/foo/none/chat", testKey, 405}} {
		if _, res, err := e.socket(ctx, test.path, test.key); err == nil || res == nil || res.StatusCode != test.want {
			t.Errorf("dial %s = %v, %v; want %d", test.path, res, err, test.want)
		}
	}
	c, _, err := e.socket(ctx, "/v1/algo/foo/bar/chat", testKey)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	for _, message := range []string{"Neo", "", strings.Repeat("x", 70_000)} {
		if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != message {
			t.Fatalf("the echo of %d bytes has %d, %v", len(message), len(got), err)
		}
	}
	if busy := e.table.Load().Routes[0].Pool.State().InFlight; busy != 1 {
		t.Errorf("%d slots are held by a WebSocket, want 1", busy)
	}
	_ = c.CloseNow()
	_ = waittest.Receive(t, "the end at the replica", ended)
	eventually(t, "the slot is free", func() bool { return e.table.Load().Routes[0].Pool.State().InFlight == 0 })

	if c, _, err = e.socket(ctx, "/v1/algo/foo/bar/chat", testKey); err != nil {
		t.Fatal(err)
	}
	e.stop()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at a drain the caller reads %v, want close code 1001", err)
	}
	if err := waittest.Receive(t, "the end at the replica", ended); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("at a drain the replica reads %v, want close code 1001", err)
	}
	err = waittest.Receive(t, "the end of Serve", e.done)
	e.done <- err
	if log := e.log.String(); strings.Contains(log, "were cut") {
		t.Errorf("the drain cut WebSockets that had closed: %s", log)
	}
}

// A WebSocket with nothing to say ends by the algorithm's idle time-out.
func TestIdleWebSocket(t *testing.T) {
	ended := make(chan error, 1)
	r := httpRoute("foo/bar", echoSocket(t, ended))
	r.IdleTimeout = "1s"
	e := startEngine(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	c, _, err := e.socket(ctx, "/v1/algo/foo/bar/chat", testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("an idle WebSocket reads %v, want its end", err)
	}
	_ = waittest.Receive(t, "the end at the replica", ended)
	eventually(t, "it is logged as timed out", func() bool { return strings.Contains(e.access.String(), `"outcome":"timeout"`) })
}

// grpcReplica is a gRPC server without TLS, of the standard health service.
func grpcReplica(t *testing.T) (addr string, service *health.Server) {
	t.Helper()
	ln := listenTest(t)
	server, service := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(server.Stop)
	return ln.Addr().String(), service
}

// grpcClient is a stock gRPC client whose interceptors put an algorithm's path
// before each method's.
func (e *testEngine) grpcClient(vanityURL, key string) grpc_health_v1.HealthClient {
	e.t.Helper()
	prefix := "/v1/algo/" + vanityURL
	withKey := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	conn, err := grpc.NewClient(strings.TrimPrefix(e.url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(withKey(ctx), prefix+method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(withKey(ctx), desc, cc, prefix+method, opts...)
		}))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func TestGRPC(t *testing.T) {
	addr, service := grpcReplica(t)
	r := httpRoute("foo/bar", addr)
	r.HTTP2, r.Concurrency, r.Queue = true, 2, config.Queue{Limit: 1}
	e := startEngine(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	client := e.grpcClient("foo/bar", testKey)
	serving := grpc_health_v1.HealthCheckResponse_SERVING
	if got, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || got.GetStatus() != serving {
		t.Errorf("Check = %v, %v; want that it serves", got, err)
	}
	_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "none"})
	if grpcstatus.Code(err) != codes.NotFound || grpcstatus.Convert(err).Message() != "unknown service" {
		t.Errorf("Check of none = %v, want the algorithm's own error", err)
	}
	for _, test := range []struct {
		vanity, key string
		want        codes.Code
		message     string
	}{{"foo/bar", "wrong", codes.Unauthenticated, ""}, {"foo/none", testKey, codes.Unimplemented, ""}} {
		_, err := e.grpcClient(test.vanity, test.key).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		if grpcstatus.Code(err) != test.want {
			t.Errorf("Check of %s with key %s = %v, want %v", test.vanity, test.key, err, test.want)
		}
	}
	one, stop := context.WithCancel(ctx)
	stream, err := client.Watch(one, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []grpc_health_v1.HealthCheckResponse_ServingStatus{serving, grpc_health_v1.HealthCheckResponse_NOT_SERVING} {
		if got, err := stream.Recv(); err != nil || got.GetStatus() != want {
			t.Fatalf("Watch = %v, %v; want %v", got, err, want)
		}
		service.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	inFlight := func() int { return e.table.Load().Routes[0].Pool.State().InFlight }
	if inFlight() != 1 {
		t.Errorf("%d slots are held by a stream, want 1", inFlight())
	}
	stop()
	eventually(t, "the stream that was cancelled holds no slot", func() bool { return inFlight() == 0 })
	if got := e.do(request{path: "/v1/algo/foo/bar?output=void", body: "x"}); got.status != 400 {
		t.Errorf("output=void = %d %s, want it refused", got.status, got.body)
	}
}

// A drain lets streams that run go on, and has clients make new ones elsewhere.
func TestGRPCDrain(t *testing.T) {
	addr, service := grpcReplica(t)
	r := httpRoute("foo/bar", addr)
	r.HTTP2 = true
	e := startEngine(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	stream, err := e.grpcClient("foo/bar", testKey).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	e.stop()
	eventually(t, "the engine drains", e.draining.Load)
	service.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	if got, err := stream.Recv(); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("the stream = %v, %v; want that it goes on", got, err)
	}
	cancel()
	select {
	case err := <-e.done:
		e.done <- err
	case <-time.After(waittest.Timeout):
		t.Fatal("the engine does not end when its streams have")
	}
}
