package engine

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// process runs a sample algorithm as a container's only process.
func process(t *testing.T, binary, addr string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "--listen", addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "the port opens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return cmd
}

// TestSampleAlgorithms calls the programs of deploy/examples through the
// engine; one that times out is ended for real and started again.
func TestSampleAlgorithms(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "./deploy/examples/hello", "./deploy/examples/shout")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the examples: %v\n%s", err, out)
	}
	helloAddr, shoutAddr := deadAddress(t), deadAddress(t)
	hello := process(t, filepath.Join(dir, "hello"), helloAddr)
	shout := process(t, filepath.Join(dir, "shout"), shoutAddr)
	e := startEngineWith(t, Options{}, config.Routes{Algorithms: []config.Route{lsRoute("demo/hello", helloAddr), httpRoute("demo/shout", shoutAddr)}})

	for _, test := range []struct{ path, contentType, body, want string }{
		{"demo/hello", "text/plain", "Neo", `"result":"Hello Neo"`},
		{"demo/hello", "application/json", `{"a":1}`, `"result":{"a":1}`},
		{"demo/hello", "application/octet-stream", "\x00\xff", `"result":"AP8="`},
		{"demo/hello?stdout=true", "application/json", `{"print":"x"}`, `"stdout":"x"`},
		{"demo/hello", "application/json", `{"raise":"no"}`, `"error":{"message":"no","stacktrace":"`},
		{"demo/shout", "text/plain", "Neo", `"result":"NEO"`},
		{"demo/shout", "application/json", `"x"`, `"result":{"shout":"X"}`},
		{"demo/shout", "application/octet-stream", "x", `"message":"shout reads text/plain and application/json","error_type":"AlgorithmError"`},
	} {
		got := e.do(request{path: "/v1/algo/" + test.path, contentType: test.contentType, body: test.body})
		if got.status != 200 || !strings.Contains(got.body, test.want) {
			t.Errorf("POST %s %q = %d %s, want …%s…", test.path, test.body, got.status, got.body, test.want)
		}
	}

	got := e.do(request{path: "/v1/algo/demo/hello?timeout=1", contentType: "application/json", body: `{"sleep":600}`})
	if errorMessage(t, got) != protocol.RanOut {
		t.Errorf("call that sleeps = %s, want %q", got.body, protocol.RanOut)
	}
	if err := hello.Wait(); err != nil {
		t.Errorf("the ended process exits with %v, want 0", err)
	}
	process(t, filepath.Join(dir, "hello"), helloAddr)
	eventually(t, "the restarted process answers", func() bool {
		return strings.Contains(e.do(request{path: "/v1/algo/demo/hello", body: "Neo"}).body, "Hello Neo")
	})
	_ = shout.Process.Kill()
	_ = shout.Wait()
	if got := e.do(request{path: "/v1/algo/demo/shout", body: "x"}); got.status != 503 {
		t.Errorf("call of a dead replica = %d %s, want 503", got.status, got.body)
	}
}
