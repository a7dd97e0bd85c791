package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// running is a runner on a free port, with a FIFO of its own.
type running struct {
	url  string
	log  *waittest.Buffer
	stop context.CancelFunc
}

// start runs a command as a pipe process; it finds its FIFO in ALGOOUT.
func start(t *testing.T, o Options, command ...string) running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &waittest.Buffer{}
	o.FIFO = filepath.Join(t.TempDir(), "algoout")
	o.Command = append([]string{"/usr/bin/env", "ALGOOUT=" + o.FIFO}, command...)
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	o.Stdout, o.Stderr = log, log
	r, err := newRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := waittest.Receive(t, "the end of the runner", ended); err != nil {
			t.Errorf("serve = %v", err)
		}
		if t.Failed() {
			t.Logf("runner's log:\n%s", log)
		}
	})
	return running{"http://" + ln.Addr().String() + "/any/path", log, stop}
}

const shellSample = "../../../deploy/examples/shell/pipe.sh"

// pythonSample is the sample with its algorithm where it looks for it.
func pythonSample(t *testing.T) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	examples, err := filepath.Abs("../../../deploy/examples/python")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(examples, "algorithm.py"), filepath.Join(dir, "src", "algorithm.py")); err != nil {
		t.Fatal(err)
	}
	return []string{"sh", "-c", `cd "$0" && exec "$@"`, dir, python, filepath.Join(examples, "algorithmia-pipe")}
}

func (r running) do(t *testing.T, method, contentType, body string, header ...string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%s answered %d %.200q: %v", method, response.StatusCode, data, err)
	}
	return response.StatusCode, got
}

// call returns an answer without the duration, which it wants to be there.
func (r running) call(t *testing.T, contentType, body string, header ...string) (int, map[string]any) {
	t.Helper()
	status, got := r.do(t, "POST", contentType, body, header...)
	if metadata, ok := got["metadata"].(map[string]any); ok {
		if _, ok := metadata["duration"].(float64); !ok {
			t.Error("metadata.duration is missing")
		}
		delete(metadata, "duration")
	}
	return status, got
}

// until waits for a GET's status.
func (r running) until(t *testing.T, status int) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got, answer := r.do(t, "GET", "", "")
		if got == status {
			return answer
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET = %d %v, want %d", got, answer, status)
		}
	}
}

func field(t *testing.T, value any, path ...string) any {
	t.Helper()
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

func object(kind, stdout, stderr string) map[string]any {
	metadata := map[string]any{"stdout": stdout, "stderr": stderr}
	if kind != "" {
		metadata["content_type"] = kind
	}
	return metadata
}

func TestContract(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, "sh", shellSample)
	refused := func(message string) map[string]any {
		return map[string]any{"error": map[string]any{"type": "SystemError", "message": message}}
	}
	r.until(t, 200)
	for _, test := range []struct {
		name, method, contentType, encoding, body string
		status                                    int
		want                                      map[string]any
	}{
		{"alive", "GET", "", "", "", 200, map[string]any{"result": "LangServer alive."}},
		{"text", "POST", "text/plain; charset=utf-8", "", "Neo \"<é>\"\n", 200, map[string]any{"result": "Hello Neo \"<é>\"\n", "metadata": object("text", "greeting 16 characters\n", "")}},
		{"json", "POST", "application/json", "", "{\n \"a\": [1, {\"b\":null}]\n}", 200, map[string]any{"result": map[string]any{"a": []any{1.0, map[string]any{"b": nil}}}, "metadata": object("json", "", "")}},
		{"null", "POST", "application/json", "", "null", 200, map[string]any{"result": nil, "metadata": object("json", "", "")}},
		{"raised", "POST", "application/octet-stream", "", "\x00\xff", 200, map[string]any{"error": map[string]any{"message": "this algorithm takes text and JSON", "error_type": "InputError"}, "metadata": object("", "", "")}},
		{"base64", "POST", "application/octet-stream", "base64", "AP8=", 200, map[string]any{"error": map[string]any{"message": "this algorithm takes text and JSON", "error_type": "InputError"}, "metadata": object("", "", "")}},
		{"not base64", "POST", "application/octet-stream", "base64", "\"}\n", 400, refused("the body is not base64")},
		{"no type", "POST", "", "", "x", 400, refused("missing Content-Type")},
		{"other type", "POST", "application/text", "", "x", 400, refused(`unsupported Content-Type "application/text"`)},
		{"other encoding", "POST", "application/octet-stream", "gzip", "x", 400, refused(`unsupported Content-Encoding "gzip"`)},
		{"not JSON", "POST", "application/json", "", "{", 400, refused("the body is not JSON")},
		{"not text", "POST", "text/plain", "", "\xff", 400, refused("the body says it is text and is not UTF-8")},
		{"too large", "POST", "text/plain", "", strings.Repeat("x", maxInput+1), 400, refused("the body is larger than 16 MiB")},
		{"other method", "PUT", "text/plain", "", "x", 405, refused("method not allowed")},
	} {
		t.Run(test.name, func(t *testing.T) {
			call := r.do
			if test.method == "POST" {
				call = func(t *testing.T, _, contentType, body string, header ...string) (int, map[string]any) {
					return r.call(t, contentType, body, header...)
				}
			}
			var header []string
			if test.encoding != "" {
				header = []string{"Content-Encoding", test.encoding}
			}
			status, got := call(t, test.method, test.contentType, test.body, header...)
			if diff := cmp.Diff(test.want, got); status != test.status || diff != "" {
				t.Errorf("status = %d, want %d; body (-want +got):\n%s", status, test.status, diff)
			}
		})
	}
}

func TestPython(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, pythonSample(t)...)
	r.until(t, 200)
	for _, test := range []struct {
		name, contentType, body string
		want                    map[string]any
	}{
		{"text", "text/plain", "Neo", map[string]any{"result": "Hello Neo", "metadata": object("text", "", "")}},
		{"json", "application/json", `{"add":[1,2.5]}`, map[string]any{"result": map[string]any{"sum": 3.5}, "metadata": object("json", "", "")}},
		{"binary", "application/octet-stream", "\x00\xff\n", map[string]any{"result": "4n1Gq36kCHsBcx/HOSpuuAhVFUO1rsQsYDNQ8KFOVlg=", "metadata": object("binary", "", "")}},
		{"output", "application/json", `{"print":"out","warn":"err"}`, map[string]any{"result": map[string]any{"print": "out", "warn": "err"}, "metadata": object("json", "out\n", "err\n")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, got := r.call(t, test.contentType, test.body)
			if test.name == "binary" {
				if s, _ := got["result"].(string); len(s) == 44 {
					test.want["result"] = s // 32 bytes of SHA-256
				}
			}
			if diff := cmp.Diff(test.want, got); status != 200 || diff != "" {
				t.Errorf("status = %d; body (-want +got):\n%s", status, diff)
			}
		})
	}
	_, got := r.call(t, "application/json", `{"raise":"boom","print":"before"}`)
	if field(t, got, "error", "message") != "boom" || field(t, got, "error", "error_type") != "AlgorithmError" ||
		!strings.Contains(fmt.Sprint(field(t, got, "error", "stacktrace")), "in apply") || field(t, got, "metadata", "stdout") != "before\n" {
		t.Errorf("raise = %v", got)
	}
	_, got = r.call(t, "application/json", `{"exit":3,"warn":"last words"}`)
	if field(t, got, "error", "message") != "exited with code 3" || field(t, got, "error", "error_type") != "SystemExit" ||
		!strings.Contains(fmt.Sprint(field(t, got, "error", "stacktrace")), "last words") {
		t.Errorf("exit = %v", got)
	}
	if _, got = r.call(t, "text/plain", "again"); got["result"] != "Hello again" {
		t.Errorf("the call after an exit = %v, want an answer of a new process", got)
	}
}

// TestLargeBodies: requests and replies far beyond what a pipe holds.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, pythonSample(t)...)
	text := strings.Repeat("0123456789abcdef", 10<<20/16)
	if _, got := r.call(t, "text/plain", text); got["result"] != "Hello "+text {
		t.Errorf("10 MiB of text came back as %.80v", got)
	}
}

// TestEachGetsItsOwn: calls at once run one after the other, and nobody gets
// another's answer or output.
func TestEachGetsItsOwn(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, pythonSample(t)...)
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			body := fmt.Sprintf(`{"print":"n%d","warn":"e%d"}`, i, i)
			_, got := r.call(t, "application/json", body)
			want := fmt.Sprintf("n%d", i)
			if field(t, got, "result", "print") != want || field(t, got, "metadata", "stdout") != want+"\n" || field(t, got, "metadata", "stderr") != fmt.Sprintf("e%d\n", i) {
				t.Errorf("call %d = %v", i, got)
			}
		})
	}
	group.Wait()
}

// TestTimeout: a DELETE ends the call that runs with all its processes, and a
// new process takes the next.
func TestTimeout(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	r := start(t, Options{}, "sh", "-c", `echo PIPE_INIT_COMPLETE
		while read -r line; do
			case $line in *wait*) sleep 1000 & echo $! >>`+pids+`; wait;; esac
			echo '{"result":"done"}' >"$ALGOOUT"
		done`)
	r.until(t, 200)
	answered := make(chan map[string]any, 1)
	go func() {
		_, got := r.call(t, "text/plain", "wait", requestIDHeader, "slow")
		answered <- got
	}()
	pid := 0
	for deadline := time.Now().Add(waittest.Timeout); pid == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		data, _ := os.ReadFile(pids)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(data)))
	}
	if _, got := r.do(t, "DELETE", "", "", requestIDHeader, "another"); got["result"] != "Runner exited: 0" {
		t.Errorf("DELETE of another call = %v", got)
	}
	select {
	case got := <-answered:
		t.Fatalf("a DELETE of another call ended this one: %v", got)
	default:
	}
	if _, got := r.do(t, "DELETE", "", "", requestIDHeader, "slow"); got["result"] != "Runner exited: 137" {
		t.Errorf("DELETE = %v, want Runner exited: 137", got)
	}
	got := waittest.Receive(t, "the answer to the call", answered)
	if field(t, got, "error", "message") != ranOut || field(t, got, "error", "error_type") != "TimeoutError" {
		t.Errorf("the call that was ended = %v", got)
	}
	waitGone(t, pid)
	if _, got := r.call(t, "text/plain", "next"); got["result"] != "done" {
		t.Errorf("the next call = %v", got)
	}
}

// waitGone waits until a process is gone, or waits for its parent.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d is still there: %s", pid, stat)
		}
	}
}

// TestDrain: after the stop signal calls are still answered for a while, each
// as the last of its connection, so that none is closed under a call.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := start(t, Options{DrainDelay: 5 * time.Second}, shellSample)
	r.until(t, 200)
	client := &http.Client{Transport: &http.Transport{}}
	call := func() (last bool, err error) {
		response, err := client.Post(r.url, "text/plain", strings.NewReader("Neo"))
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 200 || !strings.Contains(string(data), "Neo") {
			return false, fmt.Errorf("answer %d %.200q: %w", response.StatusCode, data, err)
		}
		return response.Close, nil
	}
	if last, err := call(); err != nil || last {
		t.Fatalf("a call before the stop signal: last of its connection %v, %v", last, err)
	}
	r.stop()
	for lasts := 0; lasts < 5; {
		last, err := call()
		switch {
		case err != nil:
			t.Fatalf("after %d calls that were the last of their connection: %v", lasts, err)
		case last:
			lasts++
		case lasts > 0:
			t.Error("a connection is kept while the runner drains")
		}
	}
}
