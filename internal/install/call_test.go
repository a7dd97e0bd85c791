package install_test

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

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
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

func TestCall(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	base := startSatellite(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == `"bad"` {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"got":%s}`, body)
	})
	call := func(o install.CallOptions) (string, error) {
		var out bytes.Buffer
		o.VanityURL, o.URL, o.Out, o.Report = "foo/bar", base, &out, progress.New(io.Discard)
		if o.Key == "" {
			o.Key = callersKey
		}
		err := install.Call(t.Context(), f, o)
		return out.String(), err
	}
	if out, err := call(install.CallOptions{Input: strings.NewReader(`"Neo"`)}); err != nil || !strings.Contains(out, `"result":{"got":"Neo"}`) {
		t.Errorf("a call writes %q, %v", out, err)
	}
	_, err := call(install.CallOptions{Input: strings.NewReader("1"), Key: "wrong"})
	wantCode(t, err, fault.CodeAuth, "401")
	_, err = call(install.CallOptions{Input: strings.NewReader(`"bad"`)})
	wantCode(t, err, fault.CodeFailed)
	waitFor(t, func() bool {
		out, err := call(install.CallOptions{Input: strings.NewReader("7"), Void: true, Wait: true})
		return err == nil && strings.Contains(out, `"result":{"got":7}`)
	})
	out, err := call(install.CallOptions{Input: strings.NewReader("8"), Void: true})
	if err != nil || !strings.HasPrefix(out, `{"async":"void","request_id":"req-`) {
		t.Errorf("a void call writes %q, %v", out, err)
	}
}

func TestCallWithABatch(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
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
	call := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		err := install.Call(ctx, f, install.CallOptions{VanityURL: "foo/bar", URL: base, Key: callersKey, Batch: file, Out: &out, Report: progress.New(io.Discard)})
		return out.String(), err
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { <-stopAt; interrupt() }()
	if _, err := call(ctx); err == nil {
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
	out, err := call(t.Context())
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
