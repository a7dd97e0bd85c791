package runner

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestGuard: a call that nobody ends is ended.
func TestGuard(t *testing.T) {
	t.Parallel()
	r := start(t, Options{CallAtMost: 50 * time.Millisecond}, "sh", "-c", `echo PIPE_INIT_COMPLETE; read -r line; sleep 1000`)
	_, got := r.call(t, "text/plain", "x")
	if field(t, got, "error", "error_type") != "TimeoutError" {
		t.Errorf("call = %v", got)
	}
}

func TestCrashLoop(t *testing.T) {
	t.Parallel()
	r := start(t, Options{RestartAfter: 10 * time.Millisecond}, "sh", "-c", `echo loading; echo "no model file" >&2; exit 7`)
	_, got := r.call(t, "text/plain", "x")
	message := fmt.Sprint(field(t, got, "error", "message"))
	if field(t, got, "error", "error_type") != "LoadingError" || !strings.Contains(message, "ended with exit code 7 while it loaded") ||
		!strings.Contains(message, "no model file") {
		t.Errorf("call of a crash loop = %v", got)
	}
	answer := r.until(t, 503)
	if !strings.Contains(fmt.Sprint(answer), "no model file") {
		t.Errorf("GET of a crash loop = %v", answer)
	}
}

func TestMemoryKill(t *testing.T) {
	t.Parallel()
	counter := filepath.Join(t.TempDir(), "memory.events")
	if err := os.WriteFile(counter, []byte("low 0\noom 0\noom_kill 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := start(t, Options{MemoryCounters: []string{"/missing", counter}}, "sh", "-c",
		`echo PIPE_INIT_COMPLETE; read -r line; echo allocating >&2; echo "oom_kill 1" >`+counter+`; kill -9 $$`)
	_, got := r.call(t, "text/plain", "x")
	if field(t, got, "error", "message") != ranOut || field(t, got, "error", "error_type") != "OutOfMemoryError" ||
		!strings.Contains(fmt.Sprint(field(t, got, "error", "stacktrace")), "memory limit") {
		t.Errorf("call = %v", got)
	}
}

// TestReplies: processes that write what they should not, or how.
func TestReplies(t *testing.T) {
	t.Parallel()
	const loop = `echo PIPE_INIT_COMPLETE; while read -r line; do `
	for _, test := range []struct {
		name, script string
		want         string // in the answer
	}{
		{"nested", loop + `echo '{"result":[1],"metadata":{"content_type":"json"}}' >"$ALGOOUT"; done`, `{"metadata":{"content_type":"json","stderr":"","stdout":""},"result":[1]}`},
		{"flat", loop + `echo '{"result":"QQ==","content_type":"binary"}' >"$ALGOOUT"; done`, `{"metadata":{"content_type":"binary","stderr":"","stdout":""},"result":"QQ=="}`},
		{"flat error", loop + `echo '{"message":"no","error_type":"InputError"}' >"$ALGOOUT"; done`, `{"error":{"error_type":"InputError","message":"no"},"metadata":{"stderr":"","stdout":""}}`},
		{"error as text", loop + `echo '{"error":"no"}' >"$ALGOOUT"; done`, `{"error":{"message":"no"},"metadata":{"stderr":"","stdout":""}}`},
		{"no kind", loop + `echo '{"result":"x"}' >"$ALGOOUT"; done`, `{"metadata":{"stderr":"","stdout":""},"result":"x"}`},
		{"a FIFO that stays open", `echo PIPE_INIT_COMPLETE; exec 3>"$ALGOOUT"; while read -r line; do printf '{"result":"a\\"}b"}\n' >&3; done`, `{"metadata":{"stderr":"","stdout":""},"result":"a\"}b"}`},
		{"a FIFO that is closed late", loop + `exec 3>&-; sleep 0.02; exec 3>"$ALGOOUT"; echo '{"result":"x"}' >&3; done`, `{"metadata":{"stderr":"","stdout":""},"result":"x"}`},
		{"in pieces", loop + `(printf '{"res'; sleep 0.02; printf 'ult":"x"}') >"$ALGOOUT"; done`, `{"metadata":{"stderr":"","stdout":""},"result":"x"}`},
		{"reply and end", loop + `echo '{"result":"x"}' >"$ALGOOUT"; exit 0; done`, `{"metadata":{"stderr":"","stdout":""},"result":"x"}`},
		{"half a reply", loop + `printf '{"result":"x' >"$ALGOOUT"; done`, `"error_type":"SystemExit","message":"exited with code 137"`},
		{"garbage", loop + `echo garbage >"$ALGOOUT"; done`, `"error_type":"SystemExit","message":"exited with code 137"`},
		{"two replies", loop + `echo '{"result":1}{"result":2}' >"$ALGOOUT"; done`, `"error_type":"SystemExit"`},
		{"neither", loop + `echo '{"metadata":{}}' >"$ALGOOUT"; done`, `"error_type":"SystemExit"`},
		{"nothing", loop + `: >"$ALGOOUT"; done`, `"error_type":"SystemExit","message":"exited with code 137"`},
		{"exit", loop + `exit 5; done`, `"error_type":"SystemExit","message":"exited with code 5"`},
		{"64 MiB", loop + `head -c 67108864 /dev/zero | tr '\0' x >"$ALGOOUT"; done`, `"error_type":"TooLargeError","message":"the result is larger than 15 MiB"`},
		{"much output", loop + `head -c 5000000 /dev/zero | tr '\0' x; echo end; echo '{"result":1}' >"$ALGOOUT"; done`, `\n… 4934468 bytes are left out …\n`},
		{"mark in two writes", `printf PIPE_INIT_; sleep 0.02; echo COMPLETE; while read -r line; do echo '{"result":1}' >"$ALGOOUT"; done`, `"result":1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, Options{}, "sh", "-c", test.script)
			for range 2 { // what is left over must not be the next one's
				_, got := r.call(t, "text/plain", "x")
				data, err := json.Marshal(got)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(data), test.want) {
					t.Errorf("answer = %.2000s, want %s", data, test.want)
				}
			}
		})
	}
}

// TestAnsweredEarly: processes that answer while most of a request waits to be
// read. Who is kept from reading is waited for, to the call's end at most; who does
// not read is ended.
func TestAnsweredEarly(t *testing.T) {
	t.Parallel()
	const begin = `echo PIPE_INIT_COMPLETE; while [ "$(head -c 1)" ]; do echo '{"result":"early"}' >"$ALGOOUT"; `
	request := strings.Repeat("x", 300<<10) // more than a pipe holds
	for _, test := range []struct {
		name, script string
		options      Options
		want         string
		at           time.Duration // no sooner
		again        bool          // the process is ended, and another started
	}{
		{"reads on", `read -r line`, Options{}, `"result":"early"`, 0, false},
		{"reads slowly", `for i in 1 2 3 4 5; do sleep .4; head -c 60000 >/dev/null; done; read -r line`, Options{}, `"result":"early"`, 2 * time.Second, false},
		{"is stopped", `(sleep 2; kill -CONT $$) & kill -STOP $$; read -r line`, Options{}, `"result":"early"`, 2 * time.Second, false},
		{"stays stopped", `kill -STOP $$`, Options{CallAtMost: 2 * time.Second}, `"result":"early"`, 2 * time.Second, true},
		{"sleeps", `sleep 1000`, Options{}, `the process answered without reading the request`, idleAtMost * idlePause, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, test.options, "sh", "-c", begin+test.script+"; done")
			for range 2 { // what is left over must not be the next one's
				began := time.Now()
				_, got := r.call(t, "text/plain", request)
				data, err := json.Marshal(got)
				if took := time.Since(began); err != nil || !strings.Contains(string(data), test.want) || took < test.at {
					t.Errorf("after %v the answer is %.500s, %v; want %s after %v", took, data, err, test.want, test.at)
				}
			}
			if again := strings.Contains(r.log.String(), "is started again") || strings.Contains(r.log.String(), FailedMessage); again != test.again {
				t.Errorf("the process was ended: %v, want %v", again, test.again)
			}
		})
	}
}

// TestGigabyteOfOutput: what a call prints costs the runner no memory, and the
// call its output's middle only.
func TestGigabyteOfOutput(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, "sh", "-c", `echo PIPE_INIT_COMPLETE; while read -r line; do echo first; yes | head -c 1073741824; echo last; echo '{"result":"done"}' >"$ALGOOUT"; done`)
	_, got := r.call(t, "text/plain", "x")
	stdout := fmt.Sprint(field(t, got, "metadata", "stdout"))
	if got["result"] != "done" || !strings.HasPrefix(stdout, "first\ny\n") || !strings.HasSuffix(stdout, "y\nlast\n") || !strings.Contains(stdout, "bytes are left out") {
		t.Errorf("call = %.60v with output %.60q…%q, want its start and end", got["result"], stdout, stdout[max(0, len(stdout)-20):])
	}
	if len(stdout) > keepOutput+100 {
		t.Errorf("%d bytes of output were kept, want at most %d", len(stdout), keepOutput)
	}
}

func TestFindPipe(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if _, err := findPipe(nil, false); err == nil || !strings.Contains(err.Error(), "no pipe process") {
		t.Errorf("findPipe of an image without = %v", err)
	}
	if _, err := findPipe([]string{"/no/such"}, true); err == nil || !strings.Contains(err.Error(), "/no/such") {
		t.Errorf("findPipe of a command that is not there = %v", err)
	}
	if got, err := findPipe([]string{"sh", "-c", "x"}, true); err != nil || !cmp.Equal(got, []string{"sh", "-c", "x"}) {
		t.Errorf("findPipe = %v, %v", got, err)
	}
	if err := os.MkdirAll("bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(LocalPipe, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		command []string
		find    bool
		want    string
	}{{nil, false, filepath.Join(dir, LocalPipe)}, {[]string{"bash"}, true, filepath.Join(dir, LocalPipe)}, {[]string{"sh"}, false, "sh"}} {
		if got, err := findPipe(test.command, test.find); err != nil || got[0] != test.want {
			t.Errorf("findPipe(%v, %v) = %v, %v; want %s", test.command, test.find, got, err, test.want)
		}
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := Install(dir, "runner"); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "runner"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("the copy is %v, %v; want mode 0755", info, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("Install left %v, %v", left, err)
	}
}

// TestReap runs this test again as a runner of its own, since reaping waits
// for every child of the process.
func TestReap(t *testing.T) {
	if fifo := os.Getenv("RUNNER_TEST_FIFO"); fifo != "" {
		err := Run(t.Context(), Options{
			Listen: os.Getenv("RUNNER_TEST_LISTEN"), FIFO: fifo, Reap: true,
			Command: []string{"sh", "-c", `setsid sleep 1000 & echo $! >` + fifo + `.pid; (true &); echo PIPE_INIT_COMPLETE; read -r line; exit 4`},
		})
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	fifo := filepath.Join(t.TempDir(), "algoout")
	cmd := exec.Command(os.Args[0], "-test.run=^TestReap$")
	cmd.Env = append(os.Environ(), "RUNNER_TEST_FIFO="+fifo, "RUNNER_TEST_LISTEN="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the runner does not listen")
		}
	}
	r := running{url: "http://" + address}
	r.until(t, 200)
	data, err := os.ReadFile(fifo + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if _, got := r.call(t, "text/plain", "x"); field(t, got, "error", "message") != "exited with code 4" {
		t.Errorf("call = %v", got)
	}
	waitGone(t, pid)
	// One that ended just now is dead until the runner has waited for it.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		left := dead(cmd.Process.Pid)
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a dead process was left: %s", left)
		}
	}
}

// dead returns a child of parent that nobody waited for, "" when there is none.
func dead(parent int) string {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, file := range children {
		data, _ := os.ReadFile(file)
		for _, pid := range strings.Fields(string(data)) {
			if stat, _ := os.ReadFile("/proc/" + pid + "/stat"); strings.Contains(string(stat), ") Z ") {
				return string(stat)
			}
		}
	}
	return ""
}
