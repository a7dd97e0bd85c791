package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestWaitForALaunch waits for versions that a launch runs, and for one that comes.
func TestWaitForALaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	r := w.reporter(satellite, launch)
	got := make(chan answer, 1)
	await := func(query string) {
		go func() { got <- w.call(w.viewer, "GET", launch+"?wait_for=running&timeout=60s"+query, "") }()
	}
	wants := func(what string, reached bool, version any) {
		t.Helper()
		body := waittest.Receive(t, what, got).want(t, http.StatusOK)
		if body["reached"] != reached || body["running_version"] != version {
			t.Errorf("waited for %s: reached %v, running version %v; want %v, %v", what, body["reached"], body["running_version"], reached, version)
		}
	}
	began := time.Now()
	await("")
	r.report()
	wants("its own version", true, 1.0)
	await("&version=1")
	wants("what it runs", true, 1.0)
	await("&min_version=1")
	wants("at least what it runs", true, 1.0)

	await("&version=2")
	w.call(w.admin, "PATCH", satellite+"/versions/latest", `{"algorithm":"neo/hello/`+hash2+`"}`).want(t, http.StatusCreated)
	w.call(w.operator, "PATCH", launch, `{"satellite_version":2}`).want(t, http.StatusOK)
	r.beat.SatelliteVersion = 2
	r.report()
	wants("the version that comes", true, 2.0)
	await("&min_version=1")
	wants("at least an older one", true, 2.0)
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("waiting took %s, as if nobody had heard of the heartbeats", took)
	}
	for query, want := range map[string]bool{"&version=1": false, "&min_version=3": false} {
		body := w.call(w.viewer, "GET", launch+"?wait_for=running&timeout=1"+query, "").want(t, http.StatusOK)
		if body["reached"] != want {
			t.Errorf("%s of a launch that runs version 2: reached %v, want %v", query, body["reached"], want)
		}
	}
	for query, says := range map[string]string{
		"?version=2": "send wait_for=running with them", "?timeout=5s": "send wait_for=running with them",
		"?wait_for=running&version=1&min_version=1": "send one of them", "?wait_for=running&timeout=soon": "1s to 120s",
		"?wait_for=running&timeout=0s": "1s to 120s", "?wait_for=running&timeout=99999999999999999999": "1s to 120s",
	} {
		if said := w.call(w.viewer, "GET", launch+query, "").refusedWith(t, http.StatusUnprocessableEntity); !strings.Contains(said, says) {
			t.Errorf("%s is refused with %q, want %q", query, said, says)
		}
	}
}

// TestLaunchThatIsStillTheSame answers 304 until a heartbeat or an editor changes
// something; editors do not see heartbeats.
func TestLaunchThatIsStillTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	r := w.reporter(satellite, launch)
	ask := func(tag string) answer { return w.call(w.viewer, "GET", launch, "", "If-None-Match: "+tag) }
	first := ask(`"1"`).Header.Get("ETag")
	if got := ask(first); got.StatusCode != http.StatusNotModified || got.Header.Get("ETag") != first || len(got.body) > 0 {
		t.Errorf("GET of what is the same = %d, ETag %s, %q; want 304 and %s", got.StatusCode, got.Header.Get("ETag"), got.body, first)
	}
	r.report()
	w.eventually("the heartbeat to be seen", func() bool { return ask(first).StatusCode == http.StatusOK })
	w.call(w.operator, "PATCH", launch, `{"description":"moved"}`, "If-Match: "+first).want(t, http.StatusOK)
	w.call(w.operator, "PATCH", launch, `{"description":"again"}`, "If-Match: "+first).refusedWith(t, http.StatusPreconditionFailed)
}

// TestWaitsAreBounded: the account that waits too often is refused, reads of its
// key go on meanwhile, and who waits is answered when the server stops.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stopping := make(chan struct{})
	w.server = httptest.NewServer(New(w.control, Options{Stopping: stopping}))
	t.Cleanup(w.server.Close)
	launch := w.launch(w.satellite("Edge"), "berlin")
	path := launch + "?wait_for=running&timeout=120s"
	got := make(chan answer, waitsOfAccount+1)
	for range waitsOfAccount + 1 {
		go func() { got <- w.call(w.viewer, "GET", path, "") }()
	}
	// One of them is too many; the others wait on.
	refused := waittest.Receive(t, "the wait that is one too many", got)
	if said := refused.refusedWith(t, http.StatusTooManyRequests); !strings.Contains(said, "requests of the account morpheus wait already") {
		t.Errorf("a wait too many is refused with %q", said)
	}
	w.call(w.viewer, "GET", launch, "").want(t, http.StatusOK)
	close(stopping)
	for range waitsOfAccount {
		body := waittest.Receive(t, "the answer of a server that stops", got).want(t, http.StatusOK)
		if body["reached"] != false {
			t.Errorf("a wait at a server that stops = %v, want reached false", body)
		}
	}
}

func TestWaitsOfAllAreBounded(t *testing.T) {
	t.Parallel()
	var w waits
	var leave func()
	for i := range waitsOfAll {
		var err error
		if leave, err = w.enter(control.Principal{Username: strings.Repeat("n", 1+i/waitsOfAccount)}); err != nil {
			t.Fatalf("wait %d = %v", i, err)
		}
	}
	other := control.Principal{Username: "other"}
	if _, err := w.enter(other); constellation.KindOf(err) != constellation.KindRateLimited {
		t.Errorf("one wait too many = %v, want it refused", err)
	}
	leave()
	if _, err := w.enter(other); err != nil {
		t.Errorf("a wait after another left = %v", err)
	}
}

// TestTheGuidesReleaseRuns runs the script of the guide's page on releases from
// CI, with a launch that reports the version that it was moved to.
func TestTheGuidesReleaseRuns(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../web/docs/guide/25-releases-from-ci.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		script.WriteString(block[1])
	}
	w := newWorld(t)
	w.run()
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	r := w.reporter(satellite, launch)
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script.String()) //nolint:gosec // of the guide
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MOTHERSHIP="+w.server.URL, "API_KEY="+w.admin, "GIT_HASH="+hash2,
		"SATELLITE_ID="+r.satelliteID, "LAUNCH_ID="+r.launchID)
	ended := make(chan error, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		ended <- err
	}()
	w.eventually("the script to move the launch", func() bool {
		return w.call(w.viewer, "GET", launch, "").want(t, http.StatusOK)["satellite_version"] == 2.0
	})
	r.beat.SatelliteVersion = 2
	r.report()
	if err := waittest.Receive(t, "the script's end", ended); err != nil {
		t.Errorf("the guide's script = %v", err)
	}
}
