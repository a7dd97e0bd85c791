package installer

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/ptytest"
)

// callAt calls an algorithm at an address, of a launch that there is.
func callAt(t *testing.T, address string, out io.Writer) (code int, errs string) {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "current", "satellite", someSatellite, someLaunch)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "launch.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALGO_DEPLOYMENT_DIR", dir)
	t.Setenv("ALGO_API_KEY", "cst_secret")
	var said bytes.Buffer
	code = command.Run(t.Context(), []string{"algo-install", "satellite", someSatellite, someLaunch, "call", "foo/bar", "--url", address}, command.Streams{In: strings.NewReader(""), Out: out, Err: &said}, tree)
	return code, said.String()
}

// The key of a call goes to the satellite's address, and nowhere that an answer
// points to.
func TestCallFollowsNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent on, with Authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		front := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		t.Cleanup(front.Close)
		if code, errs := callAt(t, front.URL, io.Discard); code != 1 || !strings.Contains(errs, fmt.Sprint(status)) {
			t.Errorf("a call that is answered %d: exit code %d: %s; want 1 and what was answered", status, code, errs)
		}
	}
}

// What an algorithm answers is data: a program gets it as it is, and a terminal
// obeys nothing of it.
func TestCallsAnswerIsNotObeyed(t *testing.T) {
	const evil = "{\"result\":\"\x1b[2K\x1b[1Averified\u202e\"}\n"
	satellite := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, evil) }))
	t.Cleanup(satellite.Close)
	var piped bytes.Buffer
	if code, errs := callAt(t, satellite.URL, &piped); code != 0 || piped.String() != evil {
		t.Errorf("a program gets %q, exit code %d: %s; want %q", piped.String(), code, errs, evil)
	}
	screen := ptytest.Open(t, 80)
	if code, errs := callAt(t, satellite.URL, screen.File); code != 0 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if got := screen.Shown(t); !strings.Contains(got, "verified") || strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("a terminal gets %q, want nothing that it obeys", got)
	}
}
