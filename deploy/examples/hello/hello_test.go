package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/waittest"
)

func do(t *testing.T, method, url, contentType, encoding, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s %s answers %q: %v", method, url, data, err)
	}
	return res.StatusCode, m
}

// TestContract is langserver's contract, row by row.
func TestContract(t *testing.T) {
	server := httptest.NewServer(newLangserver(hello))
	defer server.Close()
	binary := base64.StdEncoding.EncodeToString([]byte("\x00\xff"))
	for _, test := range []struct {
		name, method, contentType, encoding, body string
		status                                    int
		want                                      map[string]any // without metadata.duration, stacktrace
	}{
		{"alive", "GET", "", "", "", 200, map[string]any{"result": "LangServer alive."}},
		{"text", "POST", "text/plain", "", "Neo", 200, map[string]any{"result": "Hello Neo", "metadata": map[string]any{"content_type": "text", "stdout": "", "stderr": ""}}},
		{"json", "POST", "application/json", "", `{"a":[1]}`, 200, map[string]any{"result": map[string]any{"a": []any{1.0}}, "metadata": map[string]any{"content_type": "json", "stdout": "", "stderr": ""}}},
		{"json array", "POST", "application/json", "", `[1]`, 200, map[string]any{"result": []any{1.0}, "metadata": map[string]any{"content_type": "json", "stdout": "", "stderr": ""}}},
		{"binary", "POST", "application/octet-stream", "", "\x00\xff", 200, map[string]any{"result": binary, "metadata": map[string]any{"content_type": "binary", "stdout": "", "stderr": ""}}},
		{"base64", "POST", "application/octet-stream", "base64", binary, 200, map[string]any{"result": binary, "metadata": map[string]any{"content_type": "binary", "stdout": "", "stderr": ""}}},
		{"print", "POST", "application/json", "", `{"print":"x"}`, 200, map[string]any{"result": map[string]any{"print": "x"}, "metadata": map[string]any{"content_type": "json", "stdout": "x", "stderr": ""}}},
		{"sleep", "POST", "application/json", "", `{"sleep":0.001}`, 200, map[string]any{"result": map[string]any{"sleep": 0.001}, "metadata": map[string]any{"content_type": "json", "stdout": "", "stderr": ""}}},
		{"raise", "POST", "application/json", "", `{"raise":"no","print":"x"}`, 200, map[string]any{"error": map[string]any{"message": "no", "error_type": "AlgorithmError"}, "metadata": map[string]any{"stdout": "x", "stderr": ""}}},
		{"no type", "POST", "", "", "x", 400, map[string]any{"error": map[string]any{"type": "SystemError", "message": "missing Content-Type"}}},
		{"other type", "POST", "application/text", "", "x", 400, map[string]any{"error": map[string]any{"type": "SystemError", "message": `unsupported Content-Type "application/text"`}}},
		{"other encoding", "POST", "application/octet-stream", "gzip", "x", 400, map[string]any{"error": map[string]any{"type": "SystemError", "message": `unsupported Content-Encoding "gzip"`}}},
		{"not JSON", "POST", "application/json", "", "{", 400, map[string]any{"error": map[string]any{"type": "SystemError", "message": "the body is not JSON"}}},
		{"other method", "PUT", "text/plain", "", "x", 405, map[string]any{"error": map[string]any{"type": "SystemError", "message": "method not allowed"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, got := do(t, test.method, server.URL+"/any/path", test.contentType, test.encoding, test.body)
			if metadata, ok := got["metadata"].(map[string]any); ok {
				if _, ok := metadata["duration"].(float64); !ok {
					t.Error("metadata.duration is missing")
				}
				delete(metadata, "duration")
			}
			if object, ok := got["error"].(map[string]any); ok && status == 200 {
				if stack, _ := object["stacktrace"].(string); stack == "" {
					t.Error("error.stacktrace is missing")
				}
				delete(object, "stacktrace")
			}
			if diff := cmp.Diff(test.want, got); status != test.status || diff != "" {
				t.Errorf("status = %d, want %d; body (-want +got):\n%s", status, test.status, diff)
			}
		})
	}
}

func TestDeleteEndsTheProcess(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run(context.Background(), ln) }()
	status, got := do(t, "DELETE", "http://"+ln.Addr().String(), "", "", "")
	if status != 200 || got["result"] != "Runner exited: 0" {
		t.Errorf("DELETE = %d %v, want Runner exited: 0", status, got)
	}
	if err := waittest.Receive(t, "the end of run", ended); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}

func TestSignalEndsTheProcess(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln) }()
	do(t, "GET", "http://"+ln.Addr().String(), "", "", "")
	cancel()
	if err := waittest.Receive(t, "the end of run", ended); err != nil {
		t.Errorf("run = %v, want nil", err)
	}
}
