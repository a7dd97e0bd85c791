package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestMain lets the test binary be the mothership, for tests that kill it.
func TestMain(m *testing.M) {
	if os.Getenv("MOTHERSHIP_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestCrashLosesNothing kills serve with SIGKILL at random moments, of its
// start as well, under REST writes and image pushes. CONSTELLATION_CRASH_ROUNDS
// says how often; the default is 5.
func TestCrashLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 5
	if s := os.Getenv("CONSTELLATION_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("CONSTELLATION_CRASH_ROUNDS is a number of rounds; not %q", s)
		}
		rounds = n
	}
	c := newCrasher(t)
	for round := range rounds {
		if round%3 == 0 {
			c.killDuringStart(t)
		}
		c.killUnderLoad(t)
	}
	i, kill := c.serve(t)
	c.client = client{url: i.url, key: c.client.key}
	c.check(t, 0, 0)
	kill()
	t.Logf("%d rounds: %d satellites and %d images acknowledged, all there", rounds, len(c.satellites), len(c.images))
	if len(c.satellites) == 0 || len(c.images) == 0 {
		t.Error("nothing was written between the kills, so nothing was tested")
	}
}

// crasher is a data dir and what its servers acknowledged.
type crasher struct {
	dir    string
	client client

	mu         sync.Mutex
	satellites map[string]string // name of each id
	images     map[string]string // digest of each Git hash
	newest     string            // the Git hash of the last image
}

// client calls one running server.
type client struct{ url, key string }

func newCrasher(t *testing.T) *crasher {
	t.Helper()
	c := &crasher{dir: dataDir(t), satellites: map[string]string{}, images: map[string]string{}}
	for _, args := range []string{"account create neo --role admin", "api-key create --account neo --role admin"} {
		code, stdout, stderr := exitOf(t.Context(), "", append(strings.Fields(args), "--data-dir", c.dir)...)
		if code != 0 {
			t.Fatalf("%s: %s", args, stderr)
		}
		c.client.key = strings.TrimSpace(stdout)
	}
	return c
}

// start runs serve as a process; url comes once it is ready, "" if it ends.
func (c *crasher) start(t *testing.T) (i *instance, url <-chan string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data-dir", c.dir)
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i = &instance{}
	ready, read := make(chan string, 2), make(chan struct{})
	go func() {
		defer close(read)
		i.read(t, stderr, ready)
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		waittest.Receive(t, "the end of the log", read)
		_ = cmd.Wait() // "signal: killed"
		eventually(t, "no PostgreSQL is left behind", func() bool { return processesIn(c.dir) == 0 })
	})
	t.Cleanup(kill)
	return i, ready, kill
}

func (c *crasher) serve(t *testing.T) (*instance, func()) {
	t.Helper()
	i, ready, kill := c.start(t)
	select {
	case i.url = <-ready:
	case <-time.After(time.Minute):
	}
	if i.url == "" {
		i.mu.Lock()
		defer i.mu.Unlock()
		t.Fatalf("serve did not get ready; its log: %v", i.lines)
	}
	return i, kill
}

// processesIn counts the processes that work in a data dir.
func processesIn(dir string) int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // its only error is a bad pattern
	n := 0
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			n++
		}
	}
	return n
}

func (c *crasher) killDuringStart(t *testing.T) {
	t.Helper()
	_, ready, kill := c.start(t)
	select {
	case <-ready:
	case <-time.After(rand.N(800 * time.Millisecond)): // the moment to kill, not a wait
	}
	kill()
}

// killUnderLoad serves, checks what earlier servers acknowledged, writes, and
// is killed at a random moment.
func (c *crasher) killUnderLoad(t *testing.T) {
	t.Helper()
	i, kill := c.serve(t)
	c.client = client{url: i.url, key: c.client.key}
	c.check(t, 20, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond+rand.N(1500*time.Millisecond))
	defer cancel()
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() { c.repeat(ctx, t, c.writeSatellite) })
		writers.Go(func() { c.repeat(ctx, t, c.pushImage) })
	}
	<-ctx.Done()
	kill()
	writers.Wait()
}

// repeat writes until it fails, which must not be before the end of ctx.
func (c *crasher) repeat(ctx context.Context, t *testing.T, write func(context.Context) error) {
	for ctx.Err() == nil {
		if err := write(context.WithoutCancel(ctx)); err != nil && ctx.Err() == nil {
			t.Errorf("a write to a running server: %v", err)
			return
		}
	}
}

func (c *crasher) writeSatellite(ctx context.Context) error {
	label := "satellite " + strconv.FormatUint(rand.Uint64(), 36)
	var made struct{ ID string }
	status, err := c.client.call(ctx, "POST", "/v1/satellites", `{"name":"`+label+`","algorithms":[]}`, &made)
	if err != nil {
		return err
	}
	if status != http.StatusCreated {
		return fmt.Errorf("POST /v1/satellites: %d", status)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.satellites[made.ID] = label
	return nil
}

func (c *crasher) pushImage(ctx context.Context) error {
	image, err := randomImage()
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32())
	reference, err := c.client.reference(hash)
	if err != nil {
		return err
	}
	if err := remote.Write(reference, image, c.client.options(ctx)...); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.images[hash], c.newest = digest.String(), hash
	return nil
}

// randomImage is one that nobody has pushed before.
func randomImage() (v1.Image, error) {
	image, err := random.Image(32<<10, 2)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	return mutate.ConfigFile(image, config)
}

// check looks for what was acknowledged: at most so many satellites and
// images, 0 for all.
func (c *crasher) check(t *testing.T, satellites, images int) {
	t.Helper()
	seen := 0
	for id, label := range c.satellites {
		if seen++; satellites > 0 && seen > satellites {
			break
		}
		var got struct{ Name string }
		status, err := c.client.call(t.Context(), "GET", "/v1/satellites/"+id, "", &got)
		if err != nil || status != 200 || got.Name != label {
			t.Fatalf("the acknowledged %s: %d %q, %v", label, status, got.Name, err)
		}
	}
	seen = 0
	for hash := range c.images {
		if seen++; images > 0 && seen > images {
			break
		}
		c.checkImage(t, hash)
	}
	if c.newest != "" {
		c.checkImage(t, c.newest)
	}
}

func (c *crasher) checkImage(t *testing.T, hash string) {
	t.Helper()
	var version struct{ State string }
	status, err := c.client.call(t.Context(), "GET", "/v1/algorithms/neo/crash/versions/"+hash, "", &version)
	if err != nil || status != 200 || version.State != "ready" {
		t.Fatalf("the acknowledged version %s: %d %q, %v", hash, status, version.State, err)
	}
	reference, err := c.client.reference(hash)
	if err != nil {
		t.Fatal(err)
	}
	var image v1.Image
	if image, err = remote.Image(reference, c.client.options(t.Context())...); err == nil {
		err = validate.Image(image)
	}
	if err != nil {
		t.Fatalf("the pushed image %s: %v", hash, err)
	}
	if got, err := image.Digest(); err != nil || got.String() != c.images[hash] {
		t.Fatalf("the pushed image %s has the digest %s, want %s (%v)", hash, got, c.images[hash], err)
	}
}

func (c client) reference(hash string) (name.Reference, error) {
	return name.ParseReference(strings.TrimPrefix(c.url, "http://")+"/neo/crash:"+hash, name.Insecure)
}

func (c client) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: "neo", Password: c.key}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), // an error counts, so none is hidden
	}
}

func (c client) call(ctx context.Context, method, path, body string, into any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Simple "+c.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode >= 300 {
		return response.StatusCode, fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, content)
	}
	return response.StatusCode, json.Unmarshal(content, into)
}
