package call_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/call"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
)

const callersKey = "cst_callers"

// startSatellite runs an engine with its own queue before an algorithm, and
// returns where it is called.
func startSatellite(t *testing.T, algorithm http.HandlerFunc) string {
	t.Helper()
	replica := httptest.NewServer(algorithm)
	t.Cleanup(replica.Close)
	dir := t.TempDir()
	for name, value := range map[string]any{
		config.RoutesFile: config.Routes{Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: []config.Route{{
			VanityURL: "foo/bar", Algorithm: "neo/Hello/0123456789abcdef0123456789abcdef01234567",
			Protocol: constellation.ProtocolHTTP, Endpoints: []string{replica.Listener.Addr().String()},
		}}},
		config.KeysFile: config.Keys{Keys: []config.Key{{ID: "k1", Name: "test", SHA256: config.HashKey(callersKey)}}},
	} {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.New(t.Context(), engine.Options{Dir: dir, QueueDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, ln, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// folder makes a launch's folder with nothing in it.
func folder(t *testing.T) store.Folder {
	t.Helper()
	f := store.Folder{Root: t.TempDir(), SatelliteID: "0b8c1f0e-90a4-4f5e-a1f5-1f1d3f0c7a21", LaunchID: "5f0c2d7e-3c52-4f6a-9d63-0a6f5f0b7c11"}
	if err := f.Make(); err != nil {
		t.Fatal(err)
	}
	return f
}

// wantCode fails unless err has the exit code and says all of texts.
func wantCode(t *testing.T, err error, code fault.Code, texts ...string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code {
		t.Fatalf("error %v has not the exit code %d", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

// waitFor looks until a condition of another goroutine holds.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("the condition never held")
			return
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	f := folder(t)
	base := startSatellite(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == `"bad"` {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"got":%s}`, body)
	})
	run := func(o call.Options) (string, error) {
		var out bytes.Buffer
		o.VanityURL, o.URL, o.Out, o.Report = "foo/bar", base, &out, progress.New(io.Discard)
		if o.Key == "" {
			o.Key = callersKey
		}
		err := call.Run(t.Context(), f, o)
		return out.String(), err
	}
	if out, err := run(call.Options{Input: strings.NewReader(`"Neo"`)}); err != nil || !strings.Contains(out, `"result":{"got":"Neo"}`) {
		t.Errorf("a call writes %q, %v", out, err)
	}
	_, err := run(call.Options{Input: strings.NewReader("1"), Key: "wrong"})
	wantCode(t, err, fault.CodeAuth, "401")
	_, err = run(call.Options{Input: strings.NewReader(`"bad"`)})
	wantCode(t, err, fault.CodeFailed)
	waitFor(t, func() bool {
		out, err := run(call.Options{Input: strings.NewReader("7"), Void: true, Wait: true})
		return err == nil && strings.Contains(out, `"result":{"got":7}`)
	})
	out, err := run(call.Options{Input: strings.NewReader("8"), Void: true})
	if err != nil || !strings.HasPrefix(out, `{"async":"void","request_id":"req-`) {
		t.Errorf("a void call writes %q, %v", out, err)
	}
}

func TestRunOfABatch(t *testing.T) {
	t.Parallel()
	f := folder(t)
	var calls atomic.Int64
	const lines = 300
	stopAt := make(chan struct{})
	held := make(chan struct{})
	base := startSatellite(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if calls.Add(1) == lines/2 {
			close(stopAt)
			<-held
		}
		if string(body) == "13" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	var in strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintln(&in, i)
	}
	file := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(file, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		err := call.Run(ctx, f, call.Options{VanityURL: "foo/bar", URL: base, Key: callersKey, Batch: file, Out: &out, Report: progress.New(io.Discard)})
		return out.String(), err
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { <-stopAt; interrupt() }()
	if _, err := run(ctx); err == nil {
		t.Fatal("a batch that is interrupted ends well")
	}
	close(held)
	notes := func() []string {
		names, _ := filepath.Glob(f.Path("work", "call-*.json"))
		return names
	}
	if len(notes()) != 1 {
		t.Errorf("an interrupted batch leaves the notes %v", notes())
	}
	out, err := run(t.Context())
	wantCode(t, err, fault.CodeFailed, "1 of 300 lines failed")
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(got) != lines {
		t.Fatalf("the output has %d lines, want %d", len(got), lines)
	}
	for i, line := range got {
		want := fmt.Sprintf(`{"custom_id":null,"line":%d,"result":%d,`, i+1, i+1)
		if i+1 == 13 {
			want = `{"custom_id":null,"line":13,"error":`
		}
		if !strings.HasPrefix(line, want) {
			t.Errorf("line %d of the output is %s, want %s…", i+1, line, want)
		}
	}
	if n := calls.Load(); n != lines {
		t.Errorf("%d lines were called %d times", lines, n)
	}
	if len(notes()) != 0 {
		t.Errorf("a batch that has ended leaves the notes %v", notes())
	}
}
