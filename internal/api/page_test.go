package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
)

// grown makes a satellite with versions of 500 algorithms each, and returns its
// path.
func (w *world) grown(versions int) string {
	w.t.Helper()
	algorithms := make([]apiv1.SatelliteAlgorithm, 500)
	for i := range algorithms {
		algorithms[i] = apiv1.SatelliteAlgorithm{Algorithm: "neo/hello/" + hash1, VanityURL: fmt.Sprintf("foo/%s%d", strings.Repeat("x", 150), i)}
	}
	satellite := w.satellite("Grown")
	for i := range versions - 1 {
		algorithms[0].Replicas = i
		body, err := json.Marshal(apiv1.SatelliteVersionCreate{Algorithms: algorithms})
		if err != nil {
			w.t.Fatal(err)
		}
		w.call(w.admin, "POST", satellite+"/versions", string(body)).want(w.t, http.StatusCreated)
	}
	return satellite
}

// TestPagesHaveABudgetOfBytes: lists that are nested in results come only when
// they are asked for, and then a page ends before it is large; none is lost.
func TestPagesHaveABudgetOfBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const versions = 30
	satellite := w.grown(versions)
	for path, nested := range map[string]string{
		satellite + "/versions?limit=500": `"algorithms"`, "/v1/satellites?limit=500": `"algorithms"`, "/v1/events?limit=500": `"after"`,
	} {
		got := w.call(w.admin, "GET", path, "")
		got.want(t, http.StatusOK)
		if bytes.Contains(got.body, []byte(nested)) || len(got.body) > 64<<10 {
			t.Errorf("GET %s has %d bytes, %s in it: %v; want a short list without it", path, len(got.body), nested, bytes.Contains(got.body, []byte(nested)))
		}
	}
	for path, want := range map[string]int{
		satellite + "/versions?limit=500&expand=algorithms": versions, "/v1/satellites?limit=500&expand=algorithms": 1,
		"/v1/events?limit=500&expand=changes&action=satellite_version.create": versions - 1,
	} {
		seen, nested, pages := map[any]bool{}, 0, 0
		for path != "" {
			got := w.call(w.admin, "GET", path, "")
			body := got.want(t, http.StatusOK)
			if len(got.body) > maxPage+(maxPage/4) {
				t.Errorf("GET %s has %d bytes, want at most about %d", path, len(got.body), maxPage)
			}
			for _, result := range body["results"].([]any) {
				r := result.(map[string]any)
				for _, id := range []string{"number", "id"} {
					if r[id] != nil {
						seen[r[id]] = true
					}
				}
				latest, _ := r["latest_version"].(map[string]any)
				if r["algorithms"] != nil || r["after"] != nil || latest["algorithms"] != nil {
					nested++
				}
			}
			link, _ := body["next_link"].(string)
			path, pages = strings.TrimPrefix(link, "https://mothership.example.com"), pages+1
		}
		if len(seen) != want || nested != want || want > 1 && pages < 3 {
			t.Errorf("%d results, %d with what was asked for, on %d pages; want %d on several", len(seen), nested, pages, want)
		}
	}
	w.call(w.admin, "GET", "/v1/satellites?expand=everything", "").refused(t, http.StatusBadRequest, apiv1.CodeInvalidRequest, "expand", "algorithms")
	w.call(w.admin, "GET", satellite, "").want(t, http.StatusOK)
}

// TestAnswersAreCompressed: for whom says so, and not where an ETag would lie.
func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.grown(2)
	for _, tt := range []struct {
		path, accept string
		want         bool
	}{
		{satellite + "/versions?expand=algorithms", "gzip", true},
		{satellite + "/versions?expand=algorithms", "br, GZIP;q=0.5", true},
		{satellite + "/versions?expand=algorithms", "gzip;q=0", false},
		{satellite + "/versions?expand=algorithms", "identity", false},
		{satellite, "gzip", false},
		{"/v1/account", "gzip", false},
	} {
		got := w.call(w.viewer, "GET", tt.path, "", "Accept-Encoding: "+tt.accept)
		body := got.body
		if packed := got.Header.Get("Content-Encoding") == "gzip"; packed != tt.want {
			t.Errorf("GET %s for %s is compressed: %v, want %v", tt.path, tt.accept, packed, tt.want)
		} else if packed {
			reader, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(reader); err != nil || len(body) < 5*len(got.body) || got.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("GET %s: %d bytes of %d, %v, Vary %q", tt.path, len(got.body), len(body), err, got.Header.Get("Vary"))
			}
		}
		if !json.Valid(body) {
			t.Errorf("GET %s for %s is no JSON", tt.path, tt.accept)
		}
	}
}

// TestAKeyHasItsShare: clients that ask and do not read hold the turns of
// their own key, and of nobody else's.
func TestAKeyHasItsShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.grown(8)
	var held []net.Conn
	for range 3 * turnsOfKey {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 40 { // pipelined: more than what the kernel takes off the server's hands
			if _, err := fmt.Fprintf(c, "GET %s/versions?expand=algorithms HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", satellite, w.viewer); err != nil {
				t.Fatal(err)
			}
		}
		held = append(held, c)
	}
	refused := w.call(w.viewer, "GET", "/v1/account", "")
	for deadline := time.Now().Add(2 * time.Minute); refused.StatusCode == http.StatusOK && time.Now().Before(deadline); {
		refused = w.call(w.viewer, "GET", "/v1/account", "")
	}
	refused.refused(t, http.StatusTooManyRequests, apiv1.CodeInvalidRequest, "", "answers to this API key")
	w.call(w.operator, "GET", "/v1/account", "").want(t, http.StatusOK)
	for _, c := range held {
		_ = c.Close()
	}
	w.eventually("its turns to be back", func() bool { return w.call(w.viewer, "GET", "/v1/account", "").StatusCode == http.StatusOK })
}

// TestAnAccountHasItsShare: more keys of one account are no more memory.
func TestAnAccountHasItsShare(t *testing.T) {
	t.Parallel()
	var shares turns
	var held []func()
	key := func(i int) control.Principal {
		return control.Principal{Username: "morpheus", KeyID: fmt.Sprint(i)}
	}
	for i := range turnsOfAccount {
		release, err := shares.acquire(t.Context(), key(i))
		if err != nil {
			t.Fatalf("turn %d of %d of an account: %v", i, turnsOfAccount, err)
		}
		held = append(held, release)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shares.acquire(gone, key(turnsOfAccount)); !errors.Is(err, context.Canceled) {
		t.Errorf("a turn beyond those of the account = %v, want it to wait", err)
	}
	other, err := shares.acquire(t.Context(), control.Principal{Username: "trinity", KeyID: "0"})
	if err != nil {
		t.Fatalf("a turn of another account: %v", err)
	}
	for _, release := range append(held, other) {
		release()
	}
	if len(shares.by) != 0 {
		t.Errorf("%d shares are left when nobody has a turn, want none", len(shares.by))
	}
}
