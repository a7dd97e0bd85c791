package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The queue: two engines, four one-call replicas, log-normal service times,
// calls that come at random at 70% of what the replicas can do. Beside it, the
// same draws simulated for one ideal queue, and for a plain Service, whose
// kube-proxy sends each call to a replica at random.

const (
	queueReplicas = 4
	queueCalls    = 20000 // of so skewed times the p99 of a few hundred is chance
	queueChances  = 20    // runs of the plain Service, whose choices are chance too
	queueMean     = 10 * time.Millisecond
	queueSigma    = 1.0
	queueLoad     = 0.7
)

type draw struct{ at, service time.Duration }

func draws() []draw {
	r := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the same draws in every run
	out := make([]draw, queueCalls)
	mu := math.Log(queueMean.Seconds()) - queueSigma*queueSigma/2
	at := 0.0
	for i := range out {
		at += r.ExpFloat64() * queueMean.Seconds() / (queueLoad * queueReplicas)
		service := math.Exp(mu + queueSigma*r.NormFloat64())
		out[i] = draw{time.Duration(at * 1e9), time.Duration(service * 1e9)}
	}
	return out
}

// simulate gives each call's time from arrival to answer. choose says which
// replica's queue a call joins, or -1 for whichever is free first.
func simulate(calls []draw, choose func() int) []time.Duration {
	free := make([]time.Duration, queueReplicas)
	out := make([]time.Duration, len(calls))
	for i, c := range calls {
		at := choose()
		if at < 0 {
			at = 0
			for j, f := range free {
				if f < free[at] {
					at = j
				}
			}
		}
		free[at] = max(free[at], c.at) + c.service
		out[i] = free[at] - c.at
	}
	return out
}

func percentile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (b *engineBench) queue(ctx context.Context, out io.Writer) error {
	var replicas []string
	for range queueReplicas {
		r, err := b.start(ctx, b.self, "sleeper")
		if err != nil {
			return err
		}
		replicas = append(replicas, r.addr)
	}
	var addresses []string
	for range 2 {
		addr, err := freeAddress()
		if err != nil {
			return err
		}
		addresses = append(addresses, addr)
	}
	for i, addr := range addresses {
		dir := filepath.Join(b.dir, "pair"+strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("bench"), 0o600); err != nil {
			return err
		}
		if _, err := b.engine(ctx, "pair"+strconv.Itoa(i), replicas, 1, addr, "--peer", strings.Join(addresses, ",")); err != nil {
			return err
		}
	}
	time.Sleep(settle) // the engines find each other
	calls := draws()
	measured, err := play(ctx, addresses, calls)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // as above
	ideal := percentile(simulate(calls, func() int { return -1 }), .99)
	var chances []time.Duration
	for range queueChances {
		chances = append(chances, simulate(calls, func() int { return r.IntN(queueReplicas) })...)
	}
	service := percentile(chances, .99)
	got := percentile(measured, .99)
	fmt.Fprintf(out, "two engines, %d one-call replicas, %d calls at %.0f%% load, log-normal service times of %v on average\n", queueReplicas, queueCalls, 100*queueLoad, queueMean)
	fmt.Fprintf(out, "  p99 %v; one ideal queue %v (%.2f of it); a plain Service %v (%.2f of it)\n",
		got.Round(time.Millisecond), ideal.Round(time.Millisecond), float64(got)/float64(ideal), service.Round(time.Millisecond), float64(got)/float64(service))
	return nil
}

// play makes the calls at their times, by turns to each engine.
func play(ctx context.Context, engines []string, calls []draw) ([]time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var (
		wg    sync.WaitGroup
		times = make([]time.Duration, len(calls))
		errs  = make(chan error, len(calls))
		start = time.Now()
	)
	for i, c := range calls {
		time.Sleep(time.Until(start.Add(c.at)))
		wg.Go(func() {
			var err error
			body := []byte(strconv.FormatInt(c.service.Nanoseconds(), 10))
			if times[i], err = callOnce(ctx, client, engines[i%len(engines)], "application/json", body); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return times, nil
	}
}

// serveSleeper is `bench sleeper`: an algorithm that takes as many nanoseconds
// as it is told, one call at a time.
func serveSleeper(out io.Writer) error {
	var one sync.Mutex
	return serve(out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, _ := strconv.ParseInt(string(body), 10, 64)
		one.Lock()
		time.Sleep(time.Duration(n))
		one.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, smallReply)
	}))
}
