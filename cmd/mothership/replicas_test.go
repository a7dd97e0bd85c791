package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// fleet is servers of one mothership: one database, one store, one secret key.
type fleet struct {
	dir      string // the data dir, which they share
	database string
	key      string
}

// newFleet starts a PostgreSQL for servers that run on it.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	dir := dataDir(t)
	database, err := private.Open(t.Context(), private.Options{Dir: filepath.Join(dir, "database"), Mode: private.ModeServe, Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return &fleet{dir: filepath.Join(dir, "data"), database: database.URL()}
}

// account makes an admin, his key and his password.
func (f *fleet) account(t *testing.T) {
	t.Helper()
	for _, c := range []struct{ stdin, args string }{
		{goodPassword + "\n", "account create neo --role admin --password-stdin"},
		{"", "api-key create --account neo --role admin"},
	} {
		code, stdout, stderr := exitOf(t.Context(), c.stdin, append(strings.Fields(c.args), "--data-dir", f.dir, "--database-url", f.database)...)
		if code != 0 {
			t.Fatalf("%s: %s", c.args, stderr)
		}
		f.key = strings.TrimSpace(stdout)
	}
}

// replica is one server of a fleet, as a process.
type replica struct {
	address string
	log     *instance
	cmd     *exec.Cmd
	kill    func() // as kill -9 does
}

// begin starts a server of a program, "" for this one, and does not wait.
func (f *fleet) begin(t *testing.T, program, address string, args ...string) *replica {
	t.Helper()
	arguments := append([]string{"--listen", address, "--data-dir", f.dir, "--heartbeat-interval", "5s", "--stop-delay", "200ms"}, args...)
	if program == "" { // a program of its own is the server alone
		program, arguments = os.Args[0], append([]string{"serve"}, arguments...)
	}
	cmd := exec.CommandContext(t.Context(), program, arguments...) //nolint:gosec // built by this test
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1", "DATABASE_URL="+f.database)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &replica{address: address, log: &instance{}, cmd: cmd}
	ready, read := make(chan string, 2), make(chan struct{})
	go func() {
		defer close(read)
		r.log.read(t, stderr, ready)
	}()
	r.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		waittest.Receive(t, "the end of the log", read)
		_ = cmd.Wait() // "signal: killed"
	})
	t.Cleanup(r.kill)
	return r
}

// url is where a server is.
func (r *replica) url() string { return "http://" + r.address }

// ready waits until a server takes requests.
func (r *replica) ready(t *testing.T) *replica {
	t.Helper()
	eventually(t, "the server at "+r.address+" serves", func() bool { return status(t.Context(), r.url()+"/readyz") == http.StatusOK })
	return r
}

// status is that of a GET, 0 when there is no answer.
func status(ctx context.Context, address string) int {
	request, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// stop ends a server as an operator does, and wants it to end well.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	if err := waittest.Receive(t, "the end of a server", ended); err != nil {
		t.Errorf("a server that was asked to end: %v", err)
	}
}

// freeAddresses are n addresses that nobody listens on.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		list[i] = listener.Addr().String()
		defer listener.Close() //nolint:errcheck // free again
	}
	return list
}

// TestReplicasBeginTogether: three servers start on an empty database at the same
// moment; they tell one link for the first account, hear of each other's changes,
// and go on with each other's uploads.
func TestReplicasBeginTogether(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var replicas []*replica
	for _, address := range freeAddresses(t, 3) {
		replicas = append(replicas, f.begin(t, "", address))
	}
	links := map[string]bool{}
	for _, r := range replicas {
		r.ready(t)
		_, token, _ := strings.Cut(r.log.logged(t, "there is no account yet", "url"), "token=")
		links[token] = true
	}
	if len(links) != 1 {
		t.Errorf("three servers tell %d links for the first account, want one", len(links))
	}
	f.account(t)
	f.pagesHear(t, replicas)
	f.uploadAcross(t, replicas)
	for _, r := range replicas {
		r.stop(t)
	}
}

// pagesHear opens a page at each server and changes something at each.
func (f *fleet) pagesHear(t *testing.T, replicas []*replica) {
	t.Helper()
	jar, err := cookiejar.New(nil) // cookies are of a host, whatever the port: one sign-in is for all
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	response, err := browser.PostForm(replicas[0].url()+"/login", url.Values{"username": {"neo"}, "password": {goodPassword}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	var pages []<-chan string
	for _, r := range replicas {
		pages = append(pages, follow(t, browser, r.url()+"/live"))
	}
	for _, r := range replicas {
		var made struct{ ID string }
		c := loadtest.Client{URL: r.url(), Key: f.key}
		if _, err := c.Call(t.Context(), "POST", "/v1/satellites", `{"name":"at `+r.address+`","algorithms":[]}`, &made); err != nil {
			t.Fatal(err)
		}
		for i, heard := range pages {
			for !strings.Contains(waittest.Receive(t, fmt.Sprintf("a change at %s on a page of %s", r.address, replicas[i].address), heard), made.ID) {
			}
		}
	}
}

// follow returns the changes that a page is told of.
func follow(t *testing.T, browser *http.Client, address string) <-chan string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %s", address, response.Status)
	}
	heard := make(chan string, 100)
	go func() {
		defer close(heard)
		defer response.Body.Close() //nolint:errcheck // only read
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				heard <- data
			}
		}
	}()
	return heard
}

// uploadAcross sends a layer in parts, each to the next server.
func (f *fleet) uploadAcross(t *testing.T, replicas []*replica) {
	t.Helper()
	content := []string{"one part, ", "another one, ", "and the last."}
	sum := "sha256:" + hex.EncodeToString(sha256sum(strings.Join(content, "")))
	location := f.send(t, "POST", replicas[0].url()+"/v2/neo/crash/blobs/uploads/", "", http.StatusAccepted)
	sent := 0
	for i, part := range content {
		at := replicas[(i+1)%len(replicas)]
		location = f.send(t, "PATCH", at.url()+location, part, http.StatusAccepted, "Content-Range", fmt.Sprintf("%d-%d", sent, sent+len(part)-1))
		sent += len(part)
	}
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	f.send(t, "PUT", replicas[1].url()+location+separator+"digest="+url.QueryEscape(sum), "", http.StatusCreated)
	for _, r := range replicas {
		f.send(t, "HEAD", r.url()+"/v2/neo/crash/blobs/"+sum, "", http.StatusOK)
	}
}

func sha256sum(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// send makes one request of the registry and returns the path of its Location.
func (f *fleet) send(t *testing.T, method, address, body string, want int, header ...string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("neo", f.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		t.Fatalf("%s %s = %s %s (%v), want %d", method, address, response.Status, said, err, want)
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return location.RequestURI()
}

// TestReplicasThatDoNotBelong: a server with another store, or another secret key,
// says so in a sentence and ends; the others go on.
func TestReplicasThatDoNotBelong(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	first := f.begin(t, "", freeAddresses(t, 1)[0]).ready(t)
	for file, want := range map[string]string{
		"secret.key": "the store of images is not the one that the servers of this database share",
		"registry":   "does not open this one's secrets",
	} {
		other := &fleet{dir: dataDir(t), database: f.database}
		if err := os.MkdirAll(other.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(f.dir, file), filepath.Join(other.dir, file)); err != nil { // this one is shared
			t.Fatal(err)
		}
		if file == "registry" {
			key := strings.Repeat("A", 43) + "=\n"
			if err := os.WriteFile(filepath.Join(other.dir, "secret.key"), []byte(key), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		code, _, stderr := exitOf(ctx, "", "serve", "--listen", "127.0.0.1:0", "--data-dir", other.dir, "--database-url", f.database)
		cancel()
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("a server that shares only %s ended with %d and %s, want %q", file, code, stderr, want)
		}
	}
	first.ready(t)
}
