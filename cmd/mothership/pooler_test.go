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
// past it: writes, pushes, jobs and sign-ins work, pages hear of what happens at the
// other, uploads go on there, launches report to both, and both show themselves.
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
	liveBehindAPooler(t, c, database.URL(), polls, hears)
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

// liveBehindAPooler opens pages at both servers, sends a layer in parts to one and the
// other, and has a launch report to both.
func liveBehindAPooler(t *testing.T, c *crasher, database string, servers ...*instance) {
	t.Helper()
	f := &fleet{dir: c.dir, database: database, key: c.Key}
	if code, _, stderr := exitOf(t.Context(), goodPassword+"\n", "account", "set-password", "neo", "--password-stdin", "--data-dir", f.dir, "--database-url", f.database); code != 0 {
		t.Fatal(stderr)
	}
	var replicas []*replica
	clients := map[string]loadtest.Client{}
	for _, i := range servers {
		address := strings.Replace(strings.TrimPrefix(i.url, "http://"), "localhost", "127.0.0.1", 1)
		replicas = append(replicas, &replica{address: address})
		clients[address] = loadtest.Client{URL: "http://" + address, Key: c.Key}
	}
	f.pagesHear(t, replicas)
	f.uploadAcross(t, replicas)
	f.launchReports(t, c.Newest, "behind a pooler", clients[replicas[0].address], clients)
}
