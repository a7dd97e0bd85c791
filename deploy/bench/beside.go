package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Synchronous calls beside durable ones: one engine with its own queue, twelve
// one-call replicas, calls that come at random at a quarter of what these can do,
// first alone and then while thousands of durable calls of a tenth of a second
// wait for the same replicas.

const (
	besideReplicas = 12
	besideCalls    = 4000
	besideLoad     = 0.25
	besideDurable  = 10_000
	besideService  = 100 * time.Millisecond
	besideRounds   = 2
)

// beside is `bench beside`.
func beside(ctx context.Context, binary string, out io.Writer) error {
	b, err := newEngineBench(binary)
	if err != nil {
		return err
	}
	defer b.stop()
	var replicas []string
	for range besideReplicas {
		r, err := b.start(ctx, b.self, "sleeper")
		if err != nil {
			return err
		}
		replicas = append(replicas, r.addr)
	}
	e, err := b.engine(ctx, "beside", replicas, 1, "--queue-dir", filepath.Join(b.dir, "queue"), "--access-log=false")
	if err != nil {
		return err
	}
	calls := draws(besideCalls, besideReplicas, besideLoad)
	alone, err := b.times(ctx, e.addr, calls)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := storeDurable(ctx, e.addr, besideDurable); err != nil {
		return err
	}
	stored := time.Since(began)
	together, err := b.times(ctx, e.addr, calls)
	if err != nil {
		return err
	}
	left, err := durableLeft(ctx, e.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d synchronous calls at %.0f%% load of %d one-call replicas, alone and beside %d durable calls of %v (stored in %.1f s, %s)\n",
		besideRounds*besideCalls, 100*besideLoad, besideReplicas, besideDurable, besideService, stored.Seconds(), left)
	for _, q := range []float64{.5, .99} {
		a, t := percentile(alone, q), percentile(together, q)
		fmt.Fprintf(out, "  p%.0f %.2f ms alone, %.2f ms beside them: %.2f of it\n", 100*q, ms(a), ms(t), float64(t)/float64(a))
	}
	return nil
}

// times returns how long the calls took, of all rounds.
func (b *engineBench) times(ctx context.Context, addr string, calls []draw) ([]time.Duration, error) {
	var times []time.Duration
	for range besideRounds {
		runs, err := play(ctx, []string{addr}, calls)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			times = append(times, r.answered-r.sent)
		}
	}
	return times, nil
}

// storeDurable stores n durable calls, from 64 callers at once. The queue is open
// a moment after the engine listens.
func storeDurable(ctx context.Context, addr string, n int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	group, failed := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range 64 {
		group.Go(func() error {
			for next.Add(1) <= int64(n) {
				if err := storeOne(failed, client, addr); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func storeOne(ctx context.Context, client *http.Client, addr string) error {
	body := strconv.FormatInt(besideService.Nanoseconds(), 10)
	var last error
	for range 100 {
		status, answer, err := ask(ctx, client, http.MethodPost, "http://"+addr+"/v1/algo/foo/bar?output=void", body)
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			return nil
		case status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests:
			return fmt.Errorf("a durable call is answered %d %s", status, answer)
		}
		last = errors.New(answer)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("a durable call is not stored: %w", last)
}

// durableLeft says how many durable calls have not run yet.
func durableLeft(ctx context.Context, addr string) (string, error) {
	status, answer, err := ask(ctx, http.DefaultClient, http.MethodGet, "http://"+addr+"/v1/status", "")
	if err != nil || status != http.StatusOK {
		return "", fmt.Errorf("read the status: %d %s, %w", status, answer, err)
	}
	_, rest, _ := strings.Cut(answer, `"calls":`)
	count, _, _ := strings.Cut(rest, ",")
	ran, err := strconv.Atoi(count)
	if err != nil {
		return "", fmt.Errorf("read how many calls ran: %w", err)
	}
	ran -= 2 * besideRounds * besideCalls
	if ran >= besideDurable {
		return "", errors.New("the durable calls ended before the synchronous ones: nothing was measured")
	}
	return fmt.Sprintf("%d ran meanwhile, %d wait on", ran, besideDurable-ran), nil
}

func ask(ctx context.Context, client *http.Client, method, url, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Simple "+benchKey)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, string(answer), err
}
