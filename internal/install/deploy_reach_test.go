package install

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// queueToken is what engines and nodes know each other by.
const queueToken = "a token of a launch in a test"

// engineOf serves as an engine of a launch does; queue is the rest of its routes.
func engineOf(t *testing.T, launchID, queue string) (url string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"routes.json": `{"satellite":{"id":"s","name":"n","version":1},"launch":{"id":"` + launchID + `"},"algorithms":[]` + queue + `}`,
		"keys.json":   `{"keys":[]}`,
		"token":       queueToken,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.New(t.Context(), engine.Options{Dir: dir, TokenFile: filepath.Join(dir, "token")})
	if err != nil {
		t.Fatal(err)
	}
	calls, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Serve(ctx, calls, nil); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); waittest.Receive(t, "the end of the engine", done) })
	return "http://" + calls.Addr().String()
}

// At its end a deploy finds out whose engines are behind the Ingress, without
// a key.
func TestReach(t *testing.T) {
	const ours, theirs = "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", "11111111-2222-4333-8444-555555555555"
	page := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(page.Close)
	s := &session{launch: &store.Launch{Folder: store.Folder{LaunchID: ours}}, report: progress.New(io.Discard)}
	mine := engineOf(t, ours, "")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(mine, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		base, known string
		want        reach.Who
	}{
		"ours":               {mine, "", reach.ThisLaunch},
		"a host without DNS": {"http://satellite.invalid:" + port, "127.0.0.1", reach.ThisLaunch},
		"theirs":             {engineOf(t, theirs, `,"queue":{"mode":"off"}`), "", reach.OtherLaunch},
		"a page":             {page.URL, "", reach.SomethingElse},
		"nobody":             {"http://127.0.0.1:1", "", reach.Nobody},
		"no DNS, no address": {"http://satellite.invalid", "", reach.Nobody},
	} {
		client := reach.NewClient(test.known)
		got := reach.Ask(t.Context(), client, ours, test.base+"/v1/status")
		client.CloseIdleConnections()
		if got.Answers != test.want || got.Queue != "" {
			t.Errorf("%s: %+v, want %s", name, got, test.want)
		}
		err := s.reportReach(t.Context(), nil, &DeployResult{SatelliteVersion: 2, Namespace: "algorithms", Reach: got})
		var e *fault.Error
		if wrong := test.want == reach.OtherLaunch; wrong != (err != nil) || wrong && (!errors.As(err, &e) || e.Code != fault.CodeFailed || !strings.Contains(err.Error(), "another launch answers")) {
			t.Errorf("%s: reached = %v", name, err)
		}
	}
}

// An engine says to who knows the launch, and to nobody else, whether it reaches
// its queue.
func TestReachOfTheQueue(t *testing.T) {
	const ours, theirs = "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", "11111111-2222-4333-8444-555555555555"
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	status := engineOf(t, ours, `,"queue":{"mode":"cluster","replicas":1,"servers":["`+address+`"]}`) + "/v1/status"
	client := reach.NewClient("")
	defer client.CloseIdleConnections()
	got := reach.Ask(t.Context(), client, ours, status)
	if got.Answers != reach.ThisLaunch || got.Queue != config.QueueOpening {
		t.Errorf("before there is a node: %+v", got)
	}
	if said := reportOf(t, got); !strings.Contains(said, "! its engines do not reach the queue yet\n  synchronous calls are answered;") ||
		!strings.Contains(said, "→ 'algo-install satellite SAT "+ours+" queue status' says when it is reached") {
		t.Errorf("a deploy says %q", said)
	}
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: []byte(queueToken), ClientListen: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	for deadline := time.Now().Add(waittest.Timeout); reach.Ask(t.Context(), client, ours, status).Queue != config.QueueReached; {
		if time.Now().After(deadline) {
			t.Fatal("the engine never says that it reaches the queue")
		}
	}
	if said := reportOf(t, reach.Ask(t.Context(), client, ours, status)); strings.Contains(said, "queue") {
		t.Errorf("with the queue reached a deploy says %q", said)
	}
	if got := reach.Ask(t.Context(), client, theirs, status); got.Answers != reach.OtherLaunch || got.Queue != "" {
		t.Errorf("who does not know the launch learns %+v", got)
	}
}

// reportOf returns what a deploy says of who answers, with an account that may not
// ask the engines why.
func reportOf(t *testing.T, got *reach.Answer) string {
	t.Helper()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`, http.StatusForbidden)
	}))
	defer refusing.Close()
	typed, err := kubernetes.NewForConfig(&rest.Config{Host: refusing.URL})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s := &session{report: progress.New(&said), launch: &store.Launch{
		Folder: store.Folder{SatelliteID: "SAT", LaunchID: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345"}, Plan: &bundle.Plan{},
	}}
	if err := s.reportReach(t.Context(), &cluster.Cluster{Namespace: "algorithms", Typed: typed}, &DeployResult{Reach: got}); err != nil {
		t.Fatal(err)
	}
	return said.String()
}
