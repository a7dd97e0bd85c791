package e2e

import (
	"context"
	"image"
	"image/color"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/stack"
)

// samples are the images of deploy/examples with protocol http, which are called
// through the Ingress as their own clients call them.
var samples = []string{"chat", "grpcecho", "iris", "picture", "wsecho"}

func (j *journey) pushSamples(t *testing.T) {
	for _, sample := range samples {
		ref, err := j.PushExample(t.Context(), sample, "neo", stack.HashA)
		if err != nil {
			t.Fatal(err)
		}
		j.samples = append(j.samples, stack.Route{Vanity: "samples/" + sample, Algorithm: ref, Replicas: 1})
	}
}

// caller calls through the cluster's Ingress.
func (j *journey) caller() callers.Caller {
	return callers.Caller{Base: j.Cluster.IngressURL + "/v1/algo", Key: j.key}
}

// chatAnswers: OpenAI's own client gets a model's answer, and its first words
// while the model still makes the others.
func (j *journey) chatAnswers(t *testing.T) {
	const words = 50
	whole, err := j.caller().Chat(t.Context(), "samples/chat", "parrot-1", "follow the white rabbit")
	if err != nil || whole != "You said: follow the white rabbit" {
		t.Errorf("the whole answer is %q, %v", whole, err)
	}
	var (
		text        strings.Builder
		first, last time.Time
	)
	err = j.caller().StreamChat(t.Context(), "samples/chat", "parrot-1", strings.Repeat("knock ", words), func(piece string) {
		if last = time.Now(); first.IsZero() {
			first = last
		}
		text.WriteString(piece)
	})
	if want := "You said:" + strings.Repeat(" knock", words); err != nil || text.String() != want {
		t.Errorf("the streamed answer is %q, %v; want %q", &text, err, want)
	}
	if took := last.Sub(first); took < 500*time.Millisecond { // the sample takes a second
		t.Errorf("the words of a second's answer all came within %v: something holds them back", took)
	}
	if _, err := (callers.Caller{Base: j.caller().Base, Key: "cst_wrong"}).Chat(t.Context(), "samples/chat", "parrot-1", "x"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong key = %v, want 401", err)
	}
}

func (j *journey) irisAnswers(t *testing.T) {
	species, err := j.caller().Infer(t.Context(), "samples/iris", "iris", "measures", [][]float64{{5.1, 3.5, 1.4, .2}, {6.5, 3, 5.6, 2.1}})
	if err != nil || strings.Join(species, " ") != "setosa virginica" {
		t.Errorf("Infer = %v, %v", species, err)
	}
	metadata, err := j.caller().Metadata(t.Context(), "samples/iris", "iris")
	if err != nil || !strings.Contains(metadata, `"platform":"go"`) {
		t.Errorf("Metadata = %s, %v", metadata, err)
	}
}

func (j *journey) pictureAnswers(t *testing.T) {
	in := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	in.SetNRGBA(7, 9, color.NRGBA{10, 20, 30, 255})
	out, err := j.caller().Picture(t.Context(), "samples/picture", "/invert", in)
	if err != nil {
		t.Fatal(err)
	}
	if got := color.NRGBAModel.Convert(out.At(7, 9)); out.Bounds() != in.Bounds() || got != (color.NRGBA{245, 235, 225, 255}) {
		t.Errorf("the picture comes back as %v with %v", out.Bounds(), got)
	}
}

func (j *journey) webSocketAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := j.caller().WebSocket(ctx, "samples/wsecho", "/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, message := range []string{"one", "two", strings.Repeat("three", 10_000)} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(1 << 20)
		if _, got, err := conn.Read(ctx); err != nil || string(got) != message {
			t.Fatalf("%.20q comes back as %.20q, %v", message, got, err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close = %v", err)
	}
}

// grpcAnswers calls the engine's Service: an Ingress speaks gRPC for all its
// paths or for none.
func (j *journey) grpcAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	service, err := j.kube.CoreV1().Services(namespace).Get(ctx, render.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(service.Spec.ClusterIP+":80", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	echo := callers.GRPC{ClientConnInterface: conn, Algorithm: "samples/grpcecho", Key: j.key}
	out := new(wrapperspb.StringValue)
	if err := echo.Invoke(ctx, "/echo.Echo/Say", wrapperspb.String("Neo"), out); err != nil || out.Value != "Neo" {
		t.Errorf("Say = %q, %v", out.Value, err)
	}
	stream, err := echo.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/echo.Echo/Chat")
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
}
