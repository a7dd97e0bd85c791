package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// `bench stream` puts server-sent events through the engine, nginx and Go's own
// ReverseProxy, by turns, to the same upstream: how long the first event takes,
// of one that takes its time for the others, and how many events a thousand
// streams bring at once when the upstream sends what it can, with the memory that
// it takes. What is sent faster than it is read has to wait at the upstream.

const (
	streamRounds = 7
	streamFirsts = 40 // first events a round
	streamGap    = 10 * time.Millisecond
	streamCount  = 1000
	streamFor    = 4 * time.Second
	streamEnd    = '~' // of an event, and nowhere else
)

var streamEvent = append(append([]byte("data: "), bytes.Repeat([]byte("token "), 20)...), streamEnd, '\n', '\n')

// serveStreamer is `bench streamer`: ?events=N of them, ?gap=DURATION apart,
// the first one at once; without N, until the reader leaves.
func serveStreamer(out io.Writer) error {
	return serve(out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("events"))
		if err != nil {
			n = -1
		}
		gap, _ := time.ParseDuration(r.URL.Query().Get("gap"))
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // nginx holds back what is not marked so
		flush := http.NewResponseController(w).Flush
		for i := 0; i != n; i++ {
			if i > 0 {
				time.Sleep(gap)
			}
			if _, err := w.Write(streamEvent); err != nil || flush() != nil {
				return
			}
		}
	}))
}

// streamed is what a contender did.
type streamed struct {
	*contender
	firsts   [][]time.Duration // by round
	resident []float64         // by round, MB, once every stream brought something
	growth   []float64         // by round, MB, that it took more after that at most
}

func streams(ctx context.Context, binary string, out io.Writer) error {
	b, err := newEngineBench(binary)
	if err != nil {
		return err
	}
	defer b.stop()
	all, err := b.streamers(ctx)
	if err != nil {
		return err
	}
	for round := range streamRounds {
		for i := range all {
			if err := all[(round+i)%len(all)].first(ctx); err != nil {
				return err
			}
		}
	}
	for round := range streamRounds {
		for i := range all {
			if err := all[(round+i)%len(all)].flood(ctx); err != nil {
				return err
			}
		}
	}
	reportStreams(out, all)
	return nil
}

// streamers starts the upstream, which is the first contender, and the others.
func (b *engineBench) streamers(ctx context.Context) ([]*streamed, error) {
	upstream, err := b.start(ctx, b.self, "streamer")
	if err != nil {
		return nil, err
	}
	upstream.name = "direct"
	nginx, err := b.nginx(ctx, upstream.addr)
	if err != nil {
		return nil, err
	}
	proxy, err := b.start(ctx, b.self, "reverseproxy", upstream.addr)
	if err != nil {
		return nil, err
	}
	proxy.name = "ReverseProxy"
	engine, err := b.engineOf(ctx, "stream", map[string]any{
		"endpoints": []string{upstream.addr}, "protocol": "http", "concurrency": streamCount, "queue": map[string]any{"limit": streamCount},
	}, "--access-log=false")
	if err != nil {
		return nil, err
	}
	engine.name = "engine"
	var all []*streamed
	for _, c := range []*contender{upstream, nginx, proxy, engine} {
		all = append(all, &streamed{contender: c})
	}
	return all, nil
}

// stream opens a stream on a connection of its own.
func (s *streamed) stream(ctx context.Context, query string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, fmt.Errorf("open a stream of %s: %w", s.name, err)
	}
	_, err = fmt.Fprintf(conn, "GET /v1/algo/foo/bar/stream?%s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n", query, benchKey)
	return conn, err
}

// read reads once, and returns how many events ended in it.
func (s *streamed) read(conn net.Conn, buffer []byte) (int, error) {
	n, err := conn.Read(buffer)
	return bytes.Count(buffer[:n], []byte{streamEnd}), err
}

// first measures first events, from the request on, each on a new connection.
func (s *streamed) first(ctx context.Context) error {
	buffer := make([]byte, 4<<10)
	var times []time.Duration
	for range streamFirsts {
		began := time.Now()
		conn, err := s.stream(ctx, "events=3&gap="+streamGap.String())
		if err != nil {
			return err
		}
		events := 0
		for events == 0 {
			n, err := s.read(conn, buffer)
			if err != nil {
				return fmt.Errorf("read the first event of %s, whose answer begins %.200q: %w", s.name, buffer, err)
			}
			events += n
		}
		if times = append(times, time.Since(began)); events == 3 {
			return fmt.Errorf("%s holds the first event back until the last one is there", s.name)
		}
		for events < 3 { // its end, so that the next one begins alone
			n, err := s.read(conn, buffer)
			if err != nil {
				return fmt.Errorf("read a stream of %s: %w", s.name, err)
			}
			events += n
		}
		_ = conn.Close()
	}
	s.firsts = append(s.firsts, times)
	return nil
}

// flood opens all streams, reads them for a while, and counts.
func (s *streamed) flood(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var events, open atomic.Int64
	group, failed := errgroup.WithContext(ctx)
	for range streamCount {
		conn, err := s.stream(failed, "")
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		stop := context.AfterFunc(failed, func() { _ = conn.Close() })
		group.Go(func() error {
			defer stop()
			buffer, first := make([]byte, 32<<10), true
			for {
				n, err := s.read(conn, buffer)
				if failed.Err() != nil {
					return nil
				}
				if err != nil {
					return fmt.Errorf("a stream of %s broke: %w", s.name, err)
				}
				if n > 0 && first {
					first = false
					open.Add(1)
				}
				events.Add(int64(n))
			}
		})
	}
	measured := s.watch(failed, &events, &open)
	cancel()
	if err := group.Wait(); err != nil {
		return err
	}
	return measured
}

// watch waits until every stream has brought something, and then measures.
func (s *streamed) watch(ctx context.Context, events, open *atomic.Int64) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for waited := time.Now(); open.Load() < streamCount; {
		if time.Since(waited) > 30*time.Second {
			return fmt.Errorf("after 30 s %d of %d streams of %s have brought something", open.Load(), streamCount, s.name)
		}
		select {
		case <-ctx.Done():
			return nil // whatever broke says why
		case <-tick.C:
		}
	}
	before, err := s.memory()
	if err != nil {
		return err
	}
	began, count, peak := time.Now(), events.Load(), before
	for time.Since(began) < streamFor {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := s.memory()
		if err != nil {
			return err
		}
		peak = max(peak, now)
	}
	s.rates = append(s.rates, float64(events.Load()-count)/time.Since(began).Seconds())
	s.resident, s.growth = append(s.resident, float64(before)/1024), append(s.growth, float64(peak-before)/1024)
	return nil
}

// memory is what the contender's process and its workers have resident, in KB.
func (s *streamed) memory() (int, error) {
	master := s.pids[0]
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if err != nil {
		return 0, fmt.Errorf("find the workers of %s: %w", s.name, err)
	}
	sum := 0
	for _, field := range append(strings.Fields(string(children)), strconv.Itoa(master)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		kb, err := residentKB(pid)
		if err != nil {
			return 0, err
		}
		sum += kb
	}
	return sum, nil
}

func reportStreams(out io.Writer, all []*streamed) {
	fmt.Fprintf(out, "server-sent events, %d rounds by turns, medians of rounds\n", streamRounds)
	fmt.Fprintf(out, "  %-13s %12s %12s   with %d streams: %9s %9s %9s\n", "", "first event", "beside it", streamCount, "events/s", "resident", "growth")
	for _, s := range all {
		var times, beside []float64
		for round, firsts := range s.firsts {
			p50 := ms(percentile(firsts, .5))
			times = append(times, p50)
			beside = append(beside, p50-ms(percentile(all[0].firsts[round], .5)))
		}
		fmt.Fprintf(out, "  %-13s %9.2f ms %+9.2f ms   %19s %9.0f %6.0f MB %+6.1f MB\n", s.name, median(times), median(beside), "", median(s.rates), median(s.resident), median(s.growth))
	}
}
