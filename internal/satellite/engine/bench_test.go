package engine

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// nowhere is a ResponseWriter that keeps nothing.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}

// BenchmarkCall is a call without the server's side of HTTP: authentication,
// routing, slot, the exchange with a replica on a real socket, the reply,
// metrics and access log.
func BenchmarkCall(b *testing.B) {
	const reply = `{"result":{"answer":42},"metadata":{"content_type":"json","duration":0.001}}`
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, reply) }))
	defer replica.Close()
	r := lsRoute("foo/bar", replica.Listener.Addr().String())
	r.Concurrency = 64
	dir := b.TempDir()
	for name, v := range map[string]any{
		config.RoutesFile: config.Routes{Algorithms: []config.Route{r}},
		config.KeysFile:   config.Keys{Keys: []config.Key{{ID: "k1", SHA256: config.HashKey(testKey)}}},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	engine, err := New(b.Context(), Options{Dir: dir, AccessLog: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/algo/foo/bar", strings.NewReader(`{"question":"what"}`))
			req.Header.Set("Authorization", "Simple "+testKey)
			req.Header.Set("Content-Type", "application/json")
			engine.ServeHTTP(&nowhere{header: http.Header{}}, req)
		}
	})
}
