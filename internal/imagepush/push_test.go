package imagepush

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

const login = "pusher:pa55"

// program compiles a small static program and certificate authorities.
func program(t *testing.T) Options {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the image is made of a Linux program: run this test on Linux")
	}
	dir := t.TempDir()
	for file, text := range map[string]string{"main.go": "package main\n\nfunc main() {}\n", "go.mod": "module program\n\ngo 1.26\n", "ca.crt": "authorities"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "program", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a program: %v\n%s", err, out)
	}
	return Options{Executable: filepath.Join(dir, "program"), CABundle: filepath.Join(dir, "ca.crt"), Version: "1.2.3+abc"}
}

// serve is a registry with a login; what it answers otherwise is of handle.
func serve(t *testing.T, secure bool, handle func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user+":"+password != login {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if handle == nil || !handle(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// loggedIn writes what `docker login` would.
func loggedIn(t *testing.T, host, as string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(as)))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

func hostOf(s *httptest.Server) string { return s.Listener.Addr().String() }

// TestPush: the image is at the registry as it was made, under its version, and a
// second push sends nothing.
func TestPush(t *testing.T) {
	o, server := program(t), serve(t, false, nil)
	loggedIn(t, hostOf(server), login)
	var said bytes.Buffer
	o.Reference, o.Progress = hostOf(server)+"/team/constellation", progress.New(&said)
	pushed, err := Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := hostOf(server) + "/team/constellation:1.2.3-abc"; pushed.Tag != want || pushed.There || pushed.Bytes == 0 || !strings.Contains(said.String(), "pushed "+hostOf(server)) {
		t.Errorf("%+v, and said\n%s\nwant the tag %s", pushed, &said, want)
	}
	at, err := name.ParseReference(pushed.Tag)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(at, remote.WithAuth(&authn.Basic{Username: "pusher", Password: "pa55"}))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil || digest.String() != pushed.Digest || pushed.Image != hostOf(server)+"/team/constellation@"+pushed.Digest {
		t.Errorf("the registry has %s (%v), and %+v was pushed", digest, err, pushed)
	}
	config, err := img.ConfigFile()
	if err != nil || config.Config.User != "65532:65532" || config.Architecture != runtime.GOARCH || config.Config.Cmd[0] != "mothership" {
		t.Errorf("its configuration is %+v, %v", config, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	if plain, err := layers[1].Uncompressed(); err != nil { // held to its digest
		t.Error(err)
	} else if data, err := io.ReadAll(plain); err != nil || !bytes.Contains(data, []byte("usr/bin/algo-install")) {
		t.Errorf("the layer of the program, %d bytes: %v", len(data), err)
	}
	again, err := Push(t.Context(), o)
	if err != nil || !again.There || again.Bytes != 0 || again.Digest != pushed.Digest {
		t.Errorf("pushed again: %+v, %v", again, err)
	}
	o.Reference += ":stable"
	if other, err := Push(t.Context(), o); err != nil || other.There || other.Bytes != 0 || other.Digest != pushed.Digest {
		t.Errorf("pushed under another tag: %+v, %v; want no blob sent", other, err)
	}
}

// TestPushByTLS: a registry of its own authority is trusted by --ca-file alone.
func TestPushByTLS(t *testing.T) {
	o, server := program(t), serve(t, true, nil)
	loggedIn(t, hostOf(server), login)
	o.Reference, o.Progress = hostOf(server)+"/constellation:1", progress.New(io.Discard)
	_, err := Push(t.Context(), o)
	wants(t, err, fault.CodeNetwork, "signed by no authority", "give --ca-file FILE")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o.CAFile = file
	if _, err := Push(t.Context(), o); err != nil {
		t.Error(err)
	}
	insecure := true
	o.CAFile, o.Insecure, o.Reference = "", &insecure, hostOf(server)+"/constellation:2"
	if _, err := Push(t.Context(), o); err != nil {
		t.Error(err)
	}
}

// wants wants an error of that exit code, with all of parts in its one sentence and
// no word of a launch's settings.
func wants(t *testing.T, err error, code fault.Code, parts ...string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code || strings.Contains(err.Error(), "stage.") || strings.Contains(err.Error(), "pa55") ||
		slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(err.Error(), part) }) {
		t.Errorf("exit code %d with %v, want %d with %q", fault.CodeOf(err), err, code, parts)
	}
}

func TestPushRefused(t *testing.T) {
	o := program(t)
	o.Progress = progress.New(io.Discard)
	push := func(reference string) error {
		o.Reference = reference
		_, err := Push(t.Context(), o)
		return err
	}
	for _, reference := range []string{"", "constellation", "constellation:1", "team/constellation", "registry.example.com", "registry.example.com/", "registry.example.com/A B", "registry.example.com/c@sha256:12", "https://registry.example.com/c"} {
		wants(t, push(reference), fault.CodeUsage, "REGISTRY/PATH", "not \""+reference)
	}
	server := serve(t, false, nil)
	loggedIn(t, hostOf(server), "pusher:wrong")
	wants(t, push(hostOf(server)+"/c"), fault.CodeAuth, "login", "docker login "+hostOf(server))
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	wants(t, push(hostOf(server)+"/c"), fault.CodeAuth, "wants a login", "docker login")
	forbids := serve(t, false, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	loggedIn(t, hostOf(forbids), login)
	wants(t, push(hostOf(forbids)+"/c"), fault.CodeAuth, "forbids it")
	insecure := false
	o.Insecure = &insecure
	wants(t, push(hostOf(forbids)+"/c"), fault.CodeNetwork, "does not speak TLS", "give --insecure")
	o.Insecure, o.Executable = nil, "/etc/passwd"
	if err := push(hostOf(forbids) + "/c"); err == nil || !strings.Contains(err.Error(), "needs a mothership that runs on Linux") {
		t.Errorf("of no program: %v", err)
	}
}

// TestPushInterrupted: a push that is stopped says so, and leaves nothing behind.
func TestPushInterrupted(t *testing.T) {
	o := program(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, false, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			cancel()
		}
		return false
	})
	loggedIn(t, hostOf(server), login)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	o.Reference, o.Progress = hostOf(server)+"/c", progress.New(io.Discard)
	_, err := Push(ctx, o)
	wants(t, err, fault.CodeFailed, "the push was interrupted; run the same command again")
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

// TestPushAgain: an upload that breaks off is tried again.
func TestPushAgain(t *testing.T) {
	o := program(t)
	var uploads atomic.Int64
	server := serve(t, false, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut && r.Method != http.MethodPatch || uploads.Add(1) > 3 {
			return false
		}
		panic(http.ErrAbortHandler)
	})
	loggedIn(t, hostOf(server), login)
	o.Reference, o.Progress = hostOf(server)+"/c", progress.New(io.Discard)
	if _, err := Push(t.Context(), o); err != nil || uploads.Load() <= 3 {
		t.Errorf("after %d uploads, of which the first three broke off: %v", uploads.Load(), err)
	}
	// Where nobody listens, it ends with a sentence.
	if testing.Short() {
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Reference = listener.Addr().String() + "/c"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Push(t.Context(), o)
	if !errors.As(err, new(*fault.Error)) {
		t.Errorf("%v is no sentence", err)
	}
	wants(t, err, fault.CodeNetwork, "does not answer")
}
