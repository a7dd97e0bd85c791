package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestTheDatabasesConnectionLimit: a server that gets no connection since PostgreSQL has
// no more of them says so in /readyz and to callers, and serves again by itself once
// there are.
func TestTheDatabasesConnectionLimit(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	server := serveInProcess(t, f.dir, "--database-url", f.database)
	f.account(t)
	bearer := []string{"Authorization", "Bearer " + f.key}
	config, err := pgx.ParseConfig(f.database)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "others"
	var others []*pgx.Conn
	defer func() {
		for _, c := range others {
			_ = c.Close(t.Context())
		}
	}()
	const limit = "PostgreSQL takes no more connections, its limit is reached"
	take := func() {
		for {
			c, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				return
			}
			others = append(others, c)
		}
	}
	eventually(t, "others to have every connection", func() bool {
		take()
		// The server's own end, and others take their places before it does, sooner or later.
		if _, err := others[0].Exec(t.Context(), `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'constellation'`); err != nil {
			t.Fatal(err)
		}
		take()
		var left int
		if err := others[0].QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'others'`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	eventually(t, "the server to say why it is not ready", func() bool {
		response, body := fetch(t, http.DefaultClient, "GET", server.url+"/readyz", "")
		return response.StatusCode == http.StatusServiceUnavailable && strings.Contains(body, `"reason":"database: `+limit)
	})
	response, body := fetch(t, http.DefaultClient, "GET", server.url+"/v1/account", "", bearer...)
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, limit) || response.Header.Get("Retry-After") == "" {
		t.Errorf("GET /v1/account without a connection = %d %s, Retry-After %q", response.StatusCode, body, response.Header.Get("Retry-After"))
	}
	for _, c := range others {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	others = nil
	eventually(t, "the server to be ready again", func() bool {
		response, _ := fetch(t, http.DefaultClient, "GET", server.url+"/readyz", "")
		return response.StatusCode == http.StatusOK
	})
	if response, body := fetch(t, http.DefaultClient, "GET", server.url+"/v1/account", "", bearer...); response.StatusCode != http.StatusOK {
		t.Errorf("GET /v1/account with connections again = %d %s", response.StatusCode, body)
	}
}
