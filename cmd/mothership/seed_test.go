package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestServesWhatWasSeeded: a server begins on made-up data, whose images are in no
// store, and takes it for its own.
func TestServesWhatWasSeeded(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if code, _, stderr := exitOf(t.Context(), "", "seed", "--data-dir", dir, "--satellites", "20", "--launches", "40", "--reports", "10"); code != 0 {
		t.Fatalf("seed ends with %d: %s", code, stderr)
	}
	i := serveInProcess(t, dir)
	if response, body := fetch(t, http.DefaultClient, http.MethodGet, i.url+"/metrics", ""); response.StatusCode != http.StatusOK || !strings.Contains(body, `constellation_objects{kind="launch"} 40`) {
		t.Errorf("/metrics answers %s without 40 launches", response.Status)
	}
}
