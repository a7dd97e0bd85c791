package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// TestServesBehindAPooler in transaction mode, two servers of which one knows a way
// past it: writes, pushes, jobs and sign-ins work, and both show themselves.
func TestServesBehindAPooler(t *testing.T) {
	t.Parallel()
	c := newCrasher(t)
	database, err := private.Open(t.Context(), private.Options{Dir: c.dir, Mode: private.ModeServe})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Stop(t.Context()) //nolint:errcheck // a throwaway
	pool := postgrestest.Pooler(t, database.URL(), "transaction")
	options := []string{"--database-url", pool, "--secret-key-file", filepath.Join(c.dir, "secret.key"), "--storage", "file://" + filepath.Join(c.dir, "registry")}
	if err := os.MkdirAll(filepath.Join(c.dir, "registry"), 0o700); err != nil {
		t.Fatal(err)
	}
	polls := serveInProcess(t, dataDir(t), options...)
	hears := serveInProcess(t, dataDir(t), append(options, "--database-session-url", database.URL())...)
	for _, i := range []*instance{polls, hears} {
		c.Client = loadtest.Client{URL: i.url, Key: c.Key}
		for range 3 {
			if err := c.WriteSatellite(t.Context()); err != nil {
				t.Errorf("a write behind a pooler = %v", err)
			}
			if err := c.PushImage(t.Context()); err != nil {
				t.Errorf("a push behind a pooler = %v", err)
			}
		}
	}
	c.Check(t, len(c.Satellites), len(c.Images))
	if len(c.Satellites) != 6 || len(c.Images) != 6 {
		t.Errorf("%d satellites and %d images were written, want 6 of each", len(c.Satellites), len(c.Images))
	}
	bearer := []string{"Authorization", "Bearer " + c.Key}
	if response, body := fetch(t, http.DefaultClient, "POST", polls.url+"/v1/system/collections", "", bearer...); response.StatusCode >= 300 {
		t.Fatalf("POST /v1/system/collections = %d %s", response.StatusCode, body)
	}
	eventually(t, "the job is done", func() bool {
		_, body := fetch(t, http.DefaultClient, "GET", hears.url+"/v1/system/usage", "", bearer...)
		return strings.Contains(body, `"finished_at":"`)
	})
	for _, i := range []*instance{polls, hears} {
		if response, body := fetch(t, http.DefaultClient, "GET", i.url+"/readyz", ""); response.StatusCode != 200 || !strings.Contains(body, `"name":"clocks","ready":true`) {
			t.Errorf("/readyz behind a pooler = %d %s", response.StatusCode, body)
		}
		if _, body := fetch(t, http.DefaultClient, "GET", i.url+"/metrics", ""); strings.Count(body, "\nconstellation_server_clock_ahead_seconds{") != 2 {
			t.Errorf("/metrics does not tell both servers' clocks")
		}
	}
}
