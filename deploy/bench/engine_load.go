package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"time"
)

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

func callOnce(ctx context.Context, client *http.Client, addr, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/algo/foo/bar", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Simple "+benchKey)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || bytes.Contains(answer, []byte(`"error"`)) {
		return nil, fmt.Errorf("answer %d %.200s: %w", res.StatusCode, answer, err)
	}
	return answer, nil
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
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // wrk leaves in the middle of calls
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
