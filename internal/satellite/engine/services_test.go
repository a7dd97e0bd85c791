package engine

import (
	"image"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// TestSampleServices calls the samples that are whole HTTP services through the
// engine, with the clients that their kinds have: OpenAI's, gRPC's, a WebSocket's.
func TestSampleServices(t *testing.T) {
	names := []string{"chat", "grpcecho", "iris", "picture", "wsecho"}
	dir := t.TempDir()
	args := []string{"build", "-o", dir + "/"}
	for _, name := range names {
		args = append(args, "./deploy/examples/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the examples: %v\n%s", err, out)
	}
	var routes []config.Route
	for _, name := range names {
		addr := deadAddress(t)
		process(t, filepath.Join(dir, name), addr)
		route := httpRoute("demo/"+name, addr)
		route.HTTP2 = name == "grpcecho"
		routes = append(routes, route)
	}
	e := startEngineWith(t, Options{}, config.Routes{Algorithms: routes})
	caller := callers.Caller{Base: e.url + "/v1/algo", Key: testKey}

	t.Run("chat", func(t *testing.T) { chatSample(t, caller) })
	t.Run("iris", func(t *testing.T) {
		got, err := caller.Infer(t.Context(), "demo/iris", "iris", "measures", [][]float64{{5.1, 3.5, 1.4, .2}, {6.5, 3, 5.6, 2.1}})
		if diff := cmp.Diff([]string{"setosa", "virginica"}, got); err != nil || diff != "" {
			t.Errorf("Infer = %v (-want +got):\n%s", err, diff)
		}
		if got, err := caller.Metadata(t.Context(), "demo/iris", "iris"); err != nil || !strings.Contains(got, `"platform":"go"`) {
			t.Errorf("Metadata = %s, %v", got, err)
		}
		if _, err := caller.Metadata(t.Context(), "demo/iris", "rose"); err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "there is no GET /v2/models/rose") {
			t.Errorf("a model that there is not = %v, want the sample's own 404", err)
		}
	})
	t.Run("picture", func(t *testing.T) {
		out, err := caller.Picture(t.Context(), "demo/picture", "/turn", image.NewNRGBA(image.Rect(0, 0, 640, 480)))
		if err != nil || out.Bounds() != image.Rect(0, 0, 480, 640) {
			t.Errorf("a turned picture = %v, %v", out, err)
		}
	})
	t.Run("wsecho", func(t *testing.T) { webSocketSample(t, caller) })
	t.Run("grpcecho", func(t *testing.T) { grpcSample(t, strings.TrimPrefix(e.url, "http://")) })
}

func chatSample(t *testing.T, caller callers.Caller) {
	whole, err := caller.Chat(t.Context(), "demo/chat", "parrot-1", "follow the white rabbit")
	if err != nil || whole != "You said: follow the white rabbit" {
		t.Errorf("the whole answer is %q, %v", whole, err)
	}
	var pieces []string
	var first, last time.Time
	err = caller.StreamChat(t.Context(), "demo/chat", "parrot-1", strings.Repeat("knock ", 20), func(piece string) {
		if last = time.Now(); first.IsZero() {
			first = last
		}
		pieces = append(pieces, piece)
	})
	if want := "You said:" + strings.Repeat(" knock", 20); err != nil || strings.Join(pieces, "") != want || len(pieces) != 22 {
		t.Errorf("the streamed answer is %q, %v; want %q", pieces, err, want)
	}
	if took := last.Sub(first); took < 200*time.Millisecond { // the sample takes 0.4 s
		t.Errorf("the words of the answer all came within %v: something holds them back", took)
	}
}

func webSocketSample(t *testing.T, caller callers.Caller) {
	conn, err := caller.WebSocket(t.Context(), "demo/wsecho", "/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	for _, message := range []string{"one", "", strings.Repeat("three", 100_000)} {
		if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if kind, got, err := conn.Read(t.Context()); err != nil || kind != websocket.MessageBinary || string(got) != message {
			t.Fatalf("%.20q comes back as %v %.20q, %v", message, kind, got, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("close = %v", err)
	}
}

func grpcSample(t *testing.T, addr string) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	echo := callers.GRPC{ClientConnInterface: conn, Algorithm: "demo/grpcecho", Key: testKey}
	out := new(wrapperspb.StringValue)
	if err := echo.Invoke(t.Context(), "/echo.Echo/Say", wrapperspb.String("Neo"), out); err != nil || out.Value != "Neo" {
		t.Errorf("Say = %q, %v", out.Value, err)
	}
	if err := echo.Invoke(t.Context(), "/echo.Echo/Shout", wrapperspb.String("Neo"), out); grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("a method that there is not = %v, want the sample's own Unimplemented", err)
	}
	stranger := callers.GRPC{ClientConnInterface: conn, Algorithm: "demo/grpcecho", Key: "cst_wrong"}
	if err := stranger.Invoke(t.Context(), "/echo.Echo/Say", wrapperspb.String("Neo"), out); grpcstatus.Code(err) != codes.Unauthenticated {
		t.Errorf("a wrong key = %v, want Unauthenticated", err)
	}
	stream, err := echo.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/echo.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"one", "two", strings.Repeat("three", 10_000)} {
		if err := stream.SendMsg(wrapperspb.String(message)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(out); err != nil || out.Value != message {
			t.Fatalf("Chat = %.20q, %v; want %.20q", out.Value, err, message)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
