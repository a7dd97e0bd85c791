package install

import (
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

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// engineOf serves as an engine of a launch does.
func engineOf(t *testing.T, launchID string) (url string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"routes.json": `{"satellite":{"id":"s","name":"n","version":1},"launch":{"id":"` + launchID + `"},"algorithms":[]}`,
		"keys.json":   `{"keys":[]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.New(t.Context(), engine.Options{Dir: dir})
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
	mine := engineOf(t, ours)
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
		"theirs":             {engineOf(t, theirs), "", reach.OtherLaunch},
		"a page":             {page.URL, "", reach.SomethingElse},
		"nobody":             {"http://127.0.0.1:1", "", reach.Nobody},
		"no DNS, no address": {"http://satellite.invalid", "", reach.Nobody},
	} {
		client := reach.NewClient(test.known)
		got := reach.Ask(t.Context(), client, ours, test.base+"/v1/status")
		client.CloseIdleConnections()
		if got.Answers != test.want {
			t.Errorf("%s: %+v, want %s", name, got, test.want)
		}
		err := s.reportReach(&DeployResult{SatelliteVersion: 2, Namespace: "algorithms", Reach: got})
		var e *fault.Error
		if wrong := test.want == reach.OtherLaunch; wrong != (err != nil) || wrong && (!errors.As(err, &e) || e.Code != fault.CodeFailed || !strings.Contains(err.Error(), "another launch answers")) {
			t.Errorf("%s: reached = %v", name, err)
		}
	}
}
