package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// `bench engine` puts the engine beside nginx as a plain proxy and Go's own
// ReverseProxy: the same upstream, one run, by turns. The engine
// authenticates, routes, counts slots, measures and logs each call.

const (
	benchKey    = "cst_benchmark"
	smallCall   = `{"question":"what"}`
	smallReply  = `{"result":{"answer":42},"metadata":{"content_type":"json","duration":0.001}}`
	connections = 32
	benchRounds = 5
	benchFor    = 3 * time.Second
	largeCall   = 10 << 20
)

// contender is one thing that is measured.
type contender struct {
	name  string
	addr  string
	pids  []int
	rates []float64 // calls or bytes a second
	p99s  []float64 // milliseconds
}

// engineBench are the processes of a run.
type engineBench struct {
	dir, self, binary string
	running           []*exec.Cmd
}

func engine(ctx context.Context, binary string, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	dir, err := os.MkdirTemp("", "constellation-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temp folder
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("open the folder to nginx's user: %w", err)
	}
	b := &engineBench{dir: dir, self: self, binary: binary}
	defer b.stop()
	upstream, err := b.start(ctx, b.self, "upstream")
	if err != nil {
		return err
	}
	nginx, err := b.nginx(ctx, upstream.addr)
	if err != nil {
		return err
	}
	proxy, err := b.start(ctx, b.self, "reverseproxy", upstream.addr)
	if err != nil {
		return err
	}
	engine, err := b.engine(ctx, "engine", []string{upstream.addr}, 64)
	if err != nil {
		return err
	}
	upstream.name, proxy.name = "direct", "ReverseProxy"
	idle, err := b.idleMemory(engine)
	if err != nil {
		return err
	}
	if err := b.small(ctx, out, []*contender{upstream, nginx, engine, proxy}); err != nil {
		return err
	}
	if err := b.large(ctx, out, []*contender{upstream, nginx, engine}); err != nil {
		return err
	}
	fmt.Fprintf(out, "engine: resident when idle %d MB\n", idle/1024)
	if err := b.many(ctx, out); err != nil {
		return err
	}
	return b.queue(ctx, out)
}

// start runs a program that prints its address, and waits for it.
func (b *engineBench) start(ctx context.Context, args ...string) (*contender, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	b.running = append(b.running, cmd)
	line := make([]byte, 256)
	n, err := stdout.Read(line)
	if err != nil {
		return nil, fmt.Errorf("read the address of %s: %w", args[0], err)
	}
	return &contender{addr: strings.TrimSpace(string(line[:n])), pids: []int{cmd.Process.Pid}}, nil
}

func (b *engineBench) stop() {
	for _, cmd := range b.running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, cmd := range b.running {
		_ = cmd.Wait()
	}
	b.running = nil
}

// freeAddress gives an address that nobody listens on.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

func (b *engineBench) nginx(ctx context.Context, upstream string) (*contender, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`worker_processes auto; pid %[1]s/nginx.pid; error_log %[1]s/nginx.log; daemon off;
events { worker_connections 16384; }
http {
  access_log off; client_max_body_size 20m; keepalive_requests 100000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream algorithm { server %[2]s; keepalive 64; keepalive_requests 100000000; }
  server { listen %[3]s; location / { proxy_pass http://algorithm; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`, b.dir, upstream, addr)
	path := filepath.Join(b.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-p", b.dir, "-c", path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	b.running = append(b.running, cmd)
	return &contender{name: "nginx", addr: addr, pids: []int{cmd.Process.Pid}}, waitFor(ctx, addr)
}

// engine starts an engine with one algorithm, foo/bar.
func (b *engineBench) engine(ctx context.Context, name string, endpoints []string, concurrency int, args ...string) (*contender, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(benchKey))
	for file, v := range map[string]any{
		"routes.json": map[string]any{"algorithms": []any{map[string]any{
			"vanity_url": "foo/bar", "algorithm": "neo/hello/" + strings.Repeat("0", 40), "endpoints": endpoints, "concurrency": concurrency,
			"queue": map[string]any{"limit": 10000},
		}}},
		"keys.json": map[string]any{"keys": []any{map[string]any{"id": "1", "name": "bench", "sha256": hex.EncodeToString(sum[:])}}},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			return nil, err
		}
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if len(args) > 0 { // another engine's address, for ours to be known by
		addr, args = args[0], args[1:]
	}
	cmd := exec.CommandContext(ctx, b.binary, append([]string{"satellite", "engine", "--config", dir, "--listen", addr,
		"--metrics-listen", "127.0.0.1:0", "--drain-delay", "0s", "--log-level", "error"}, args...)...)
	cmd.Stderr = os.Stderr
	log, err := os.Create(filepath.Join(dir, "access.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout = log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	b.running = append(b.running, cmd)
	return &contender{name: name, addr: addr, pids: []int{cmd.Process.Pid}}, waitFor(ctx, addr)
}

// waitFor waits until something listens at addr.
func waitFor(ctx context.Context, addr string) error {
	for range 200 {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens at %s after 10 s", addr)
}

func (b *engineBench) idleMemory(c *contender) (int, error) {
	time.Sleep(settle)
	return residentKB(c.pids[0])
}

const wrkScript = `wrk.method = "POST"
wrk.body = '` + smallCall + `'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Simple ` + benchKey + `"
`

// small measures small JSON calls with wrk.
func (b *engineBench) small(ctx context.Context, out io.Writer, all []*contender) error {
	script := filepath.Join(b.dir, "post.lua")
	if err := os.WriteFile(script, []byte(wrkScript), 0o644); err != nil {
		return err
	}
	for range benchRounds {
		for _, c := range all {
			result, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections), "-d", strconv.Itoa(int(benchFor/time.Second)), "--latency",
				"-s", script, "http://"+c.addr+"/v1/algo/foo/bar").Output()
			if err != nil {
				return fmt.Errorf("wrk (the Debian package wrk): %w", err)
			}
			if bytes.Contains(result, []byte("Non-2xx")) || bytes.Contains(result, []byte("Socket errors")) {
				return fmt.Errorf("%s answered with errors:\n%s", c.name, result)
			}
			rate, p99 := readWrk(string(result))
			c.rates, c.p99s = append(c.rates, rate), append(c.p99s, p99)
		}
	}
	fmt.Fprintf(out, "small JSON calls, %d connections, %d rounds by turns, medians\n", connections, benchRounds)
	table(out, all, 1, "calls/s")
	return nil
}

// table prints medians beside the first contender's.
func table(out io.Writer, all []*contender, unit float64, name string) {
	first := median(all[0].rates)
	for _, c := range all {
		fmt.Fprintf(out, "  %-13s %9.0f %s  %.2f of %s", c.name, median(c.rates)/unit, name, median(c.rates)/first, all[0].name)
		if len(c.p99s) > 0 {
			fmt.Fprintf(out, "   p99 %6.2f ms", median(c.p99s))
		}
		fmt.Fprintln(out)
		c.rates, c.p99s = nil, nil
	}
}

// readWrk finds the rate and the 99th percentile in milliseconds.
func readWrk(result string) (rate, p99 float64) {
	for line := range strings.Lines(result) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 2 && fields[0] == "99%":
			if d, err := time.ParseDuration(fields[1]); err == nil {
				p99 = float64(d) / float64(time.Millisecond)
			}
		case len(fields) == 2 && fields[0] == "Requests/sec:":
			rate, _ = strconv.ParseFloat(fields[1], 64)
		}
	}
	return rate, p99
}

// large measures bodies of 10 MiB, and the engine's memory under them.
func (b *engineBench) large(ctx context.Context, out io.Writer, all []*contender) error {
	body := bytes.Repeat([]byte("constellation..."), largeCall/16)
	for range benchRounds {
		for _, c := range all {
			n, err := callLarge(ctx, c.addr, body)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rates = append(c.rates, float64(n)*float64(len(body))/benchFor.Seconds())
		}
	}
	fmt.Fprintf(out, "bodies of 10 MiB, 8 connections\n")
	table(out, all, 1<<20, "MiB/s  ")
	before, err := residentKB(all[2].pids[0])
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := callLarge(ctx, all[2].addr, body); err != nil {
			return err
		}
	}
	after, err := residentKB(all[2].pids[0])
	fmt.Fprintf(out, "  engine's memory under them: %d MB, and after as many again %d MB\n", before/1024, after/1024)
	return err
}

// callLarge sends body over and over on eight connections, and counts.
func callLarge(ctx context.Context, addr string, body []byte) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		calls    int
		problems []error
		until    = time.Now().Add(benchFor)
	)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(until) {
				_, err := callOnce(ctx, client, addr, "application/octet-stream", body)
				mu.Lock()
				if err != nil {
					problems = append(problems, err)
				} else if time.Now().Before(until) {
					calls++
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return calls, errors.Join(problems...)
}

func callOnce(ctx context.Context, client *http.Client, addr, contentType string, body []byte) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/algo/foo/bar", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Simple "+benchKey)
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"error"`)) {
		return 0, fmt.Errorf("answer %d %.200s: %w", res.StatusCode, answer, err)
	}
	return time.Since(start), nil
}

// many measures the engine with 10,000 open connections.
func (b *engineBench) many(ctx context.Context, out io.Writer) error {
	const n = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Max < n+1000 {
		return fmt.Errorf("%d open connections need a higher limit of open files than %d: raise it with ulimit -Hn", n, limit.Max)
	}
	limit.Cur = limit.Max // the engine inherits it
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	engine, err := b.engine(ctx, "many", []string{"127.0.0.1:1"}, 1)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	answer := make([]byte, 4096)
	for range n {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", engine.addr)
		if err != nil {
			return err
		}
		conns = append(conns, c)
		// Each makes a call, which finds no replica, and stays.
		_, err = fmt.Fprintf(c, "POST /v1/algo/foo/bar HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", benchKey)
		if err != nil {
			return err
		}
		if got, err := c.Read(answer); err != nil || !bytes.HasPrefix(answer[:got], []byte("HTTP/1.1 503")) {
			return fmt.Errorf("a connection answered %.100q: %w", answer[:got], err)
		}
	}
	kb, err := residentKB(engine.pids[0])
	fmt.Fprintf(out, "engine: resident with %d open connections %d MB\n", n, kb/1024)
	return err
}

// serveUpstream is `bench upstream`: an algorithm that answers at once.
func serveUpstream(out io.Writer) error {
	return serve(out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, smallReply)
	}))
}

// serveProxy is `bench reverseproxy ADDR`.
func serveProxy(out io.Writer, upstream string) error {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	return serve(out, proxy)
}

func serve(out io.Writer, h http.Handler) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, ln.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	return server.Serve(ln)
}
