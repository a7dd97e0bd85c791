package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// dataDir is a fresh folder that PostgreSQL's unprivileged user can reach,
// which t.TempDir's is not for root.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mothership-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

// instance is a running serve.
type instance struct {
	url  string
	stop func() int // ends it and returns its exit code

	mu    sync.Mutex
	lines []map[string]any
}

// serveInProcess runs serve and waits until it is ready.
func serveInProcess(t *testing.T, dir string, args ...string) *instance {
	t.Helper()
	i := &instance{}
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	exit := make(chan int, 1)
	go func() {
		args := append([]string{"mothership", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--stop-delay", "0s"}, args...)
		exit <- command.Run(ctx, args, command.Streams{In: strings.NewReader(""), Out: io.Discard, Err: writer}, newRootCommand)
		writer.Close()
	}()
	ready := make(chan string, 1)
	go i.read(t, reader, ready)
	i.stop = sync.OnceValue(func() int { cancel(); return waittest.Receive(t, "the end of serve", exit) })
	t.Cleanup(func() { i.stop() })
	select {
	case i.url = <-ready:
	case <-time.After(waittest.Timeout):
		t.Fatal("serve is not ready in time")
	}
	if i.url == "" {
		t.Fatalf("serve ended with exit code %d", i.stop())
	}
	return i
}

// read keeps the log and tells the URL, or "" when the log ends.
func (i *instance) read(t *testing.T, r io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Logf("serve: %s", lines.Text())
			continue
		}
		i.mu.Lock()
		i.lines = append(i.lines, line)
		i.mu.Unlock()
		if line["msg"] == "ready" {
			ready <- line["url"].(string)
		}
	}
	ready <- ""
}

// logged waits for a line of the log and returns one of its values.
func (i *instance) logged(t *testing.T, msg, key string) string {
	t.Helper()
	var found string
	eventually(t, "the log says "+msg, func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, line := range i.lines {
			if text, ok := line["msg"].(string); ok && strings.HasPrefix(text, msg) {
				found, _ = line[key].(string)
				return true
			}
		}
		return false
	})
	return found
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// fetch sends a request and returns its answer with the body read.
func fetch(t *testing.T, client *http.Client, method, address, body string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n+1 < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(content)
}

// browser keeps cookies and does not follow redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func form(t *testing.T, client *http.Client, address string, values map[string]string, header ...string) (*http.Response, string) {
	t.Helper()
	q := url.Values{}
	for k, v := range values {
		q.Set(k, v)
	}
	return fetch(t, client, "POST", address, q.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

const goodPassword = "correct horse battery"

func TestCommandsBeforeWhileAndAfterServe(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	do := func(stdin string, args ...string) string {
		t.Helper()
		code, stdout, stderr := exitOf(t.Context(), stdin, append(args, "--data-dir", dir)...)
		if code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
		return stdout
	}
	do(goodPassword+"\n", "account", "create", "neo", "--role", "admin", "--password-stdin")
	early := strings.TrimSpace(do("", "api-key", "create", "--account", "neo", "--role", "admin"))

	i := serveInProcess(t, dir)
	late := strings.TrimSpace(do("", "api-key", "create", "--account", "NEO", "--role", "viewer", "--name", "late", "--expires", "90d"))
	for _, key := range []string{early, late} {
		if !strings.HasPrefix(key, "cst_") || strings.ContainsAny(key, " \n") {
			t.Errorf("a key is %q, want cst_… alone", key)
		}
		response, body := fetch(t, http.DefaultClient, "GET", i.url+"/v1/account", "", "Authorization", "Simple "+key)
		if response.StatusCode != 200 || !strings.Contains(body, `"neo"`) {
			t.Errorf("GET /v1/account = %d %s, want neo", response.StatusCode, body)
		}
	}
	var key struct{ ID string }
	if err := json.Unmarshal([]byte(do("", "signing-key", "-o", "json")), &key); err != nil || len(key.ID) != 16 {
		t.Errorf("signing-key: %+v, %v; want an ID", key, err)
	}
	var audit struct {
		Rows, Pending int
		Problems      []string
	}
	if err := json.Unmarshal([]byte(do("", "audit", "verify", "-o", "json")), &audit); err != nil || audit.Rows+audit.Pending < 3 || len(audit.Problems) > 0 {
		t.Errorf("audit verify: %+v, %v; want the changes so far", audit, err)
	}
	if response, body := fetch(t, http.DefaultClient, "GET", i.url+"/v1/system", "", "Authorization", "Simple "+early); response.StatusCode != 200 || !strings.Contains(body, `"id":"`+key.ID+`"`) {
		t.Errorf("GET /v1/system = %d %s, want the signing key %s", response.StatusCode, body, key.ID)
	}
	var keys []struct{ ID, Name, State string }
	if err := json.Unmarshal([]byte(do("", "api-key", "list", "-o", "json")), &keys); err != nil || len(keys) != 2 {
		t.Fatalf("api-key list: %v, %v; want 2 keys", keys, err)
	}
	scoped := strings.TrimSpace(do("", "api-key", "create", "--account", "neo", "--name", "ci", "--scope", "push:neo/*", "--scope", "push:Trinity/hello"))
	if response, body := fetch(t, http.DefaultClient, "GET", i.url+"/v1/satellites", "", "Authorization", "Simple "+scoped); response.StatusCode != 403 || !strings.Contains(body, "neo/* and trinity/hello") {
		t.Errorf("a key with a scope lists satellites = %d %s, want 403", response.StatusCode, body)
	}
	if out := do("", "api-key", "list"); !strings.Contains(out, "push:neo/* push:trinity/hello") {
		t.Errorf("api-key list has no scope:\n%s", out)
	}
	for _, k := range keys {
		if k.Name == "late" {
			do("", "api-key", "revoke", k.ID)
		}
	}
	if response, body := fetch(t, http.DefaultClient, "GET", i.url+"/v1/account", "", "Authorization", "Simple "+late); response.StatusCode != 401 {
		t.Errorf("a revoked key = %d %s, want 401", response.StatusCode, body)
	}
	code, _, stderr := exitOf(t.Context(), "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "error")
	if code != 1 || !strings.Contains(stderr, "is in use by mothership serve, PID") {
		t.Errorf("a second serve: exit %d, %s", code, stderr)
	}
	if code := i.stop(); code != 0 {
		t.Errorf("serve ended with exit code %d", code)
	}
	if out := do("", "account", "list"); !strings.Contains(out, "neo") || !strings.Contains(out, "admin") {
		t.Errorf("account list after serve:\n%s", out)
	}
	do("", "account", "disable", "neo", "--undo")
	if out := do("", "migrate", "status", "-o", "json"); !strings.Contains(out, `"pending": []`) {
		t.Errorf("migrate status: %s", out)
	}
}

func TestCommandRefusals(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	for _, tt := range []struct {
		args, stdin, want string
	}{
		{"account create neo --role emperor", "", "a role is one of admin, operator, viewer"},
		{"account create neo --password-stdin", "short\n", "a password has 12 to 256 characters"},
		{"account create ../neo", "", "a username has 1 to 63"},
		{"account disable nobody", "", "nobody"},
		{"api-key create --account nobody", "", "nobody"},
		{"api-key create --account nobody --scope push:neo", "", "nobody"},
		{"api-key revoke 00000000-0000-0000-0000-000000000000", "", "there is no API key with the id"},
	} {
		code, stdout, stderr := exitOf(t.Context(), tt.stdin, append(strings.Fields(tt.args), "--data-dir", dir)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 1 and %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

// TestEmptyFlagsLiftNoLimit: a script's variable that is not set.
func TestEmptyFlagsLiftNoLimit(t *testing.T) {
	t.Parallel()
	for args, flag := range map[string]string{
		"api-key create --account neo --satellite=": "--satellite", "api-key create --account neo --role=": "--role",
		"api-key create --account neo --expires=": "--expires", "api-key list --account=": "--account", "api-key revoke x --account=": "--account",
		"api-key create --account neo --scope=": "--scope",
	} {
		code, stdout, stderr := exitOf(t.Context(), "", strings.Fields(args)...)
		if want := flag + " is empty; give it a value, or leave it out"; code != 2 || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and %q", args, code, stdout, stderr, want)
		}
	}
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	code, _, stderr := exitOf(t.Context(), "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir(t), "--postgres-bin-dir", empty, "--log-level", "error")
	if want := "PostgreSQL is not installed; install the package"; code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("no binaries: exit %d, %q; want 1 and one line with %q", code, stderr, want)
	}
	code, _, stderr = exitOf(t.Context(), "", "migrate", "up", "--database-url", "postgres://127.0.0.1:1/nothing?connect_timeout=2")
	if want := "the database at 127.0.0.1:1 cannot be reached (connection refused); check DATABASE_URL"; code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("no server: exit %d, %q; want 1 and one line with %q", code, stderr, want)
	}
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // takes connections, answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	code, _, stderr = exitOf(t.Context(), "", "account", "list", "--database-url", "postgres://neo:hunter2@"+silent.Addr().String()+"/x?connect_timeout=1")
	if code != 1 || !strings.Contains(stderr, "(no answer within 1s)") || strings.Contains(stderr, "hunter2") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("a silent server: exit %d, %q; want 1 and one line that says how long we waited", code, stderr)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		code, _, stderr = exitOf(t.Context(), "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "error")
		if code != 1 || !strings.Contains(stderr, "the data dir "+dir) {
			t.Errorf("data dir %s: exit %d, %q", dir, code, stderr)
		}
	}
}

func TestKeyFileOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	serveInProcess(t, dir).stop()
	path := filepath.Join(dir, "secret.key")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(want string) {
		t.Helper()
		code, _, stderr := exitOf(t.Context(), "", "serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "error")
		if code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit %d, %q; want 1 and one line with %q", code, stderr, want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("secret.key is missing")
	if code, _, stderr := exitOf(t.Context(), "", "account", "list", "--data-dir", dir); code != 1 || !strings.Contains(stderr, "secret.key is missing") {
		t.Errorf("account list without the key file: exit %d, %q", code, stderr)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file was made in place of the missing one: %v", err)
	}
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("secret.key belongs to another database")
	if err := os.WriteFile(path, right, 0o600); err != nil {
		t.Fatal(err)
	}
	serveInProcess(t, dir)
}

func TestSetUpAndSignIn(t *testing.T) {
	t.Parallel()
	i := serveInProcess(t, dataDir(t))
	link := i.logged(t, "there is no account yet", "url")
	if !strings.HasPrefix(link, i.url+"/setup?token=") {
		t.Fatalf("the set-up link is %q", link)
	}
	token := strings.TrimPrefix(link, i.url+"/setup?token=")
	b := browser(t)
	response, body := fetch(t, b, "GET", link, "")
	if response.StatusCode != 200 || !strings.Contains(body, "Set up this mothership") {
		t.Fatalf("the set-up page: %d %s", response.StatusCode, body)
	}
	checkPage(t, response, body)

	response, body = form(t, b, i.url+"/setup", map[string]string{"token": token, "username": "neo", "password": "short"})
	if response.StatusCode != 422 || !strings.Contains(body, "12 to 256 characters") || !strings.Contains(body, `value="neo"`) {
		t.Errorf("a short password: %d, want 422 with the reason and what was typed", response.StatusCode)
	}
	response, _ = form(t, b, i.url+"/setup", map[string]string{"token": token, "username": "neo", "password": goodPassword}, "Sec-Fetch-Site", "cross-site")
	if response.StatusCode != 403 {
		t.Errorf("a form from another site: %d, want 403", response.StatusCode)
	}
	response, body = form(t, b, i.url+"/setup", map[string]string{"token": token, "username": "neo", "password": goodPassword})
	if response.StatusCode != 303 || response.Header.Get("Location") != "/" {
		t.Fatalf("set-up: %d %s", response.StatusCode, body)
	}
	if cookie := response.Header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "Path=/") {
		t.Errorf("the cookie is %q", cookie)
	}
	response, body = fetch(t, b, "GET", i.url+"/", "")
	if response.StatusCode != 200 || !strings.Contains(body, "No satellites yet") || !strings.Contains(body, "neo") {
		t.Errorf("the first page: %d %s", response.StatusCode, body)
	}
	checkPage(t, response, body)
	if response, body = fetch(t, browser(t), "GET", i.url+"/setup?token="+token, ""); response.StatusCode != 409 || !strings.Contains(body, "set up already") {
		t.Errorf("the set-up link after its use: %d, want 409", response.StatusCode)
	}
	if response, _ = form(t, browser(t), i.url+"/setup", map[string]string{"token": token, "username": "smith", "password": goodPassword}); response.StatusCode < 400 {
		t.Errorf("the set-up link works twice: %d", response.StatusCode)
	}
	signInAndOut(t, i, b)
}

func signInAndOut(t *testing.T, i *instance, b *http.Client) {
	t.Helper()
	if response, _ := form(t, b, i.url+"/logout", nil); response.StatusCode != 303 {
		t.Errorf("sign out: %d, want 303", response.StatusCode)
	}
	response, _ := fetch(t, b, "GET", i.url+"/satellites/x/algorithms?version=2", "")
	if want := "/login?next=%2Fsatellites%2Fx%2Falgorithms%3Fversion%3D2"; response.Header.Get("Location") != want {
		t.Errorf("a page after signing out goes to %q, want %q", response.Header.Get("Location"), want)
	}
	response, body := form(t, b, i.url+"/login", map[string]string{"username": "neo", "password": "wrong password"})
	if response.StatusCode != 401 || !strings.Contains(body, `role="alert"`) || response.Header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong password: %d", response.StatusCode)
	}
	checkPage(t, response, body)
	for next, want := range map[string]string{"/satellites/x": "/satellites/x", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/"} {
		response, _ = form(t, b, i.url+"/login", map[string]string{"username": "neo", "password": goodPassword, "next": next})
		if response.StatusCode != 303 || response.Header.Get("Location") != want {
			t.Errorf("sign in with next=%s: %d to %q, want %q", next, response.StatusCode, response.Header.Get("Location"), want)
		}
	}
	response, body = fetch(t, b, "GET", i.url+"/satellites/00000000-0000-0000-0000-000000000000", "")
	if response.StatusCode != 404 || !strings.Contains(body, "Not found") {
		t.Errorf("an unknown satellite: %d", response.StatusCode)
	}
}

// checkPage looks for what every page must and must not have.
func checkPage(t *testing.T, response *http.Response, body string) {
	t.Helper()
	csp := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy is %q", csp)
	}
	for _, tag := range regexp.MustCompile(`<script[^>]*>`).FindAllString(body, -1) {
		if !strings.Contains(tag, ` src="/static/`) {
			t.Errorf("%s has %s, which the policy forbids", response.Request.URL.Path, tag)
		}
	}
	for _, inline := range []string{"<style", " style=", " onclick=", "javascript:"} {
		if strings.Contains(body, inline) {
			t.Errorf("%s has %q, which the policy forbids", response.Request.URL.Path, inline)
		}
	}
	for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "X-Request-Id"} {
		if response.Header.Get(name) == "" {
			t.Errorf("%s has no %s", response.Request.URL.Path, name)
		}
	}
}

func TestProbesAndLimits(t *testing.T) {
	t.Parallel()
	i := serveInProcess(t, dataDir(t))
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": `{"name":"database","ready":true}`, "/metrics": `constellation_objects{kind="satellite"} 0`,
		"/openapi.json": `"openapi":"3.1`, "/docs/api": "<html",
	} {
		response, body := fetch(t, http.DefaultClient, "GET", i.url+path, "")
		if response.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("GET %s = %d %.200s, want 200 with %s", path, response.StatusCode, body, want)
		}
	}
	page, reference := fetch(t, http.DefaultClient, "GET", i.url+"/docs/api", "")
	if kind := page.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") || !strings.Contains(reference, "Make a satellite with its version 1") {
		t.Errorf("GET /docs/api = %s %.200s, want the reference", kind, reference)
	}
	checkPage(t, page, reference)
	response, body := fetch(t, http.DefaultClient, "POST", i.url+"/v1/satellites", strings.Repeat("x", 11<<20))
	if response.StatusCode != 413 || !strings.Contains(body, `"error"`) {
		t.Errorf("11 MB without a key = %d %s, want 413", response.StatusCode, body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/login"} {
		response, body := fetch(t, http.DefaultClient, "HEAD", i.url+path, "")
		if response.StatusCode != 200 || body != "" {
			t.Errorf("HEAD %s = %d %q, want 200 without a body", path, response.StatusCode, body)
		}
	}
	for _, method := range []string{"PUT", "NONSENSE"} {
		response, body := fetch(t, http.DefaultClient, method, i.url+"/login", "")
		if response.StatusCode != 405 || !strings.Contains(body, "does not take the method") {
			t.Errorf("%s /login = %d %q, want 405", method, response.StatusCode, body)
		}
	}
	if response, _ := fetch(t, http.DefaultClient, "GET", i.url+"/v2/", ""); response.StatusCode != 401 {
		t.Errorf("GET /v2/ without a key = %d, want 401", response.StatusCode)
	}
}
