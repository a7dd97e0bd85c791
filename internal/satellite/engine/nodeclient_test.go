package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// nodeAnswer is what the official Node client gives its user of a call.
type nodeAnswer struct {
	Name     string
	Status   int
	Got      any
	Error    map[string]any
	Metadata map[string]any
}

// TestOfficialNodeClient makes calls with the npm package algorithmia, as
// users' code does.
func TestOfficialNodeClient(t *testing.T) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the official client needs %s: install the package nodejs and npm", program)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/nodeclient")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci = %v\n%s", err, out)
	}
	release := make(chan bool)
	t.Cleanup(func() { close(release) })
	replica := newStrict(t, nil)
	echo := replica.run
	replica.run = func(c lsCall) (int, string) {
		switch string(c.body) {
		case "print":
			return 200, `{"result":"done","metadata":{"content_type":"text","duration":0.5,"stdout":"a line\n"}}`
		case "raise":
			return 200, `{"error":{"message":"it broke","error_type":"AlgorithmError","stacktrace":"line 1"},"metadata":{"duration":0.5}}`
		case "hang":
			waittest.Hold(t, release)
		}
		if c.mediaType == "application/octet-stream" {
			reply, _ := json.Marshal(map[string]any{"result": c.body, "metadata": map[string]any{"content_type": "binary", "duration": 0.25}})
			return 200, string(reply)
		}
		return echo(c)
	}
	e := startDurable(t, Options{}, lsRoute("foo/bar", replica.addr))
	run := exec.CommandContext(t.Context(), "node", "--no-deprecation", "calls.js", e.url, testKey)
	run.Dir = dir
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("node = %v\n%s", err, stderr.String())
	}
	var got []nodeAnswer
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var a nodeAnswer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if a.Name == "time-out" {
			delete(a.Metadata, "duration")
		}
		got = append(got, a)
	}
	metadata := func(kind string) map[string]any { return map[string]any{"content_type": kind, "duration": 0.25} }
	failed := func(name string, status int, metadata map[string]any, message string, more ...string) nodeAnswer {
		e := map[string]any{"message": message}
		for i := 0; i < len(more); i += 2 {
			e[more[i]] = more[i+1]
		}
		return nodeAnswer{Name: name, Status: status, Got: map[string]any{"thrown": message}, Error: e, Metadata: metadata}
	}
	want := []nodeAnswer{
		{Name: "text", Status: 200, Got: "Neo", Metadata: metadata("text")},
		{Name: "json", Status: 200, Got: map[string]any{"name": "Neo", "list": []any{1.0, 2.0}}, Metadata: metadata("json")},
		{Name: "binary", Status: 200, Got: map[string]any{"buffer": "0001ff"}, Metadata: metadata("binary")},
		{Name: "by owner, name and version", Status: 200, Got: "Neo", Metadata: metadata("text")},
		{Name: "raw text", Status: 200, Got: "Neo"},
		{Name: "raw binary", Status: 200, Got: map[string]any{"buffer": "0708"}},
		{Name: "stdout", Status: 200, Got: "done", Metadata: map[string]any{"content_type": "text", "duration": 0.5, "stdout": "a line\n"}},
		{Name: "void", Status: 200, Got: map[string]any{"async": "void", "id": "string", "result": "Neo"}},
		failed("error", 200, map[string]any{"duration": 0.5}, "it broke", "error_type", "AlgorithmError", "stacktrace", "line 1"),
		failed("time-out", 200, map[string]any{}, protocol.RanOut, "error_type", "TimeoutError"),
		failed("wrong key", 401, nil, "this API key is not known to this satellite"),
		failed("unknown algorithm", 404, nil, "algorithm algo://foo/nothing not found"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the client's answers (-want +got):\n%s", diff)
	}
}
