package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// `bench engine` puts the engine beside nginx as a plain proxy, Go's own
// ReverseProxy, and a proxy of fasthttp's that checks a key and holds slots: the
// same upstream, one run, by turns. The engine authenticates, routes, counts
// slots and measures each call, and has fewer slots than there are callers, so
// that calls go through its queue. A second one has slots for all; a third
// writes a log line a call besides, which no peer does; a fourth leaves all
// calls to net/http.

const (
	benchKey    = "cst_benchmark"
	smallCall   = `{"question":"what"}`
	smallReply  = `{"result":{"answer":42},"metadata":{"content_type":"json","duration":0.001}}`
	connections = 32
	benchSlots  = 22
	ampleSlots  = 64
	benchRounds = 5
	smallRounds = 16 // the machine's speed varies more from round to round than the contenders do
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
	remove            func()
	running           []*exec.Cmd
}

func engine(ctx context.Context, binary string, out io.Writer) error {
	b, err := newEngineBench(binary)
	if err != nil {
		return err
	}
	defer b.stop()
	upstream, err := b.start(ctx, b.self, "upstream")
	if err != nil {
		return err
	}
	upstream.name = "direct"
	nginx, err := b.nginx(ctx, upstream.addr)
	if err != nil {
		return err
	}
	engines, err := b.engines(ctx, upstream.addr)
	if err != nil {
		return err
	}
	proxies, err := b.proxies(ctx, upstream.addr)
	if err != nil {
		return err
	}
	engine := engines[0]
	idle, err := b.idleMemory(engine)
	if err != nil {
		return err
	}
	if err := b.small(ctx, out, slices.Concat([]*contender{upstream, nginx}, engines, proxies)); err != nil {
		return err
	}
	if err := b.large(ctx, out, []*contender{upstream, nginx, engine}); err != nil {
		return err
	}
	fmt.Fprintf(out, "engine: resident when idle %d MB\n", idle/1024)
	return b.many(ctx, out)
}

// engines starts the engines that are measured, the plain one first.
func (b *engineBench) engines(ctx context.Context, upstream string) ([]*contender, error) {
	var engines []*contender
	for _, kind := range []struct {
		dir, name string
		slots     int
		args      []string
	}{
		{"engine", fmt.Sprintf("engine, %d slots", benchSlots), benchSlots, []string{"--access-log=false"}}, // as nginx's is off
		{"ample", fmt.Sprintf("engine, %d slots", ampleSlots), ampleSlots, []string{"--access-log=false"}},
		{"logging", "engine, a log line a call", benchSlots, nil},
		{"without", "engine, no event loop", benchSlots, []string{"--access-log=false", "--event-loop=false"}},
	} {
		c, err := b.engine(ctx, kind.dir, []string{upstream}, kind.slots, kind.args...)
		if err != nil {
			return nil, err
		}
		c.name = kind.name
		engines = append(engines, c)
	}
	return engines, nil
}

// proxies starts Go's own reverse proxy, which checks nothing, and one of
// fasthttp's, which checks the key and holds the slots.
func (b *engineBench) proxies(ctx context.Context, upstream string) ([]*contender, error) {
	std, err := b.start(ctx, b.self, "reverseproxy", upstream)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(benchKey))
	fast, err := b.start(ctx, filepath.Join(filepath.Dir(b.self), "benchfasthttp"), upstream, hex.EncodeToString(sum[:]), strconv.Itoa(benchSlots))
	if err != nil {
		return nil, err
	}
	std.name, fast.name = "ReverseProxy", "fasthttp, key and slots"
	return []*contender{std, fast}, nil
}

func newEngineBench(binary string) (*engineBench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the programs: %w", err)
	}
	dir, remove, err := tempDir()
	return &engineBench{dir: dir, remove: remove, self: self, binary: binary}, err
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
	b.remove()
}

// freeAddress returns an address that nobody listens on.
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
	return b.engineOf(ctx, name, map[string]any{"endpoints": endpoints, "concurrency": concurrency, "queue": map[string]any{"limit": 10000}}, args...)
}

// engineOf starts an engine with one algorithm, foo/bar, whose route is as given.
func (b *engineBench) engineOf(ctx context.Context, name string, route map[string]any, args ...string) (*contender, error) {
	route["vanity_url"], route["algorithm"] = "foo/bar", "neo/hello/"+strings.Repeat("0", 40)
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(benchKey))
	for file, v := range map[string]any{
		"routes.json": map[string]any{"algorithms": []any{route}},
		"keys.json":   map[string]any{"keys": []any{map[string]any{"id": "1", "name": "bench", "sha256": hex.EncodeToString(sum[:])}}},
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
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") { // an address of ours for another engine to know us by
		addr, args = args[0], args[1:]
	}
	cmd := exec.CommandContext(ctx, b.binary, append([]string{"satellite", "engine", "--config", dir, "--listen", addr, //nolint:gosec // the programs that are measured
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

// small measures small JSON calls. all[1] is nginx.
func (b *engineBench) small(ctx context.Context, out io.Writer, all []*contender) error {
	if err := b.callSmall(ctx, all); err != nil {
		return err
	}
	fmt.Fprintf(out, "small JSON calls, %d connections, %d rounds by turns, medians\n", connections, smallRounds)
	var pairs strings.Builder
	for _, c := range all[2:] {
		fmt.Fprintf(&pairs, "  %-25s %.2f of nginx's calls/s, %.2f of its p99 (medians of the rounds' ratios)\n",
			c.name, median(ratios(c.rates, all[1].rates)), median(ratios(c.p99s, all[1].p99s)))
	}
	table(out, all, 1, "calls/s")
	fmt.Fprint(out, pairs.String())
	return nil
}

// callSmall gives each of all its rounds of wrk, by turns.
func (b *engineBench) callSmall(ctx context.Context, all []*contender) error {
	script := filepath.Join(b.dir, "post.lua")
	if err := os.WriteFile(script, []byte(wrkScript), 0o644); err != nil {
		return err
	}
	for round := range smallRounds {
		for i := range all {
			c := all[(round+i)%len(all)]
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
	return nil
}

// ratios are of what two contenders had in the same rounds.
func ratios(ours, theirs []float64) []float64 {
	list := make([]float64, len(ours))
	for i := range ours {
		list[i] = ours[i] / theirs[i]
	}
	return list
}

// table prints medians beside the first contender's.
func table(out io.Writer, all []*contender, unit float64, name string) {
	first := median(all[0].rates)
	for _, c := range all {
		fmt.Fprintf(out, "  %-25s %9.0f %s  %.2f of %s", c.name, median(c.rates)/unit, name, median(c.rates)/first, all[0].name)
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
