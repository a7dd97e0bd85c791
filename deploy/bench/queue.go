package main

import (
	"cmp"
	"context"
	"encoding/json"
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

	"golang.org/x/sync/errgroup"
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

// draws returns n calls for so many one-call replicas.
func draws(n, replicas int, load float64) []draw {
	r := rand.New(rand.NewPCG(7, 11)) //nolint:gosec // the same draws in every run
	out := make([]draw, n)
	mu := math.Log(queueMean.Seconds()) - queueSigma*queueSigma/2
	at := 0.0
	for i := range out {
		at += r.ExpFloat64() * queueMean.Seconds() / (load * float64(replicas))
		service := math.Exp(mu + queueSigma*r.NormFloat64())
		out[i] = draw{time.Duration(at * 1e9), time.Duration(service * 1e9)}
	}
	return out
}

// simulate returns each call's time from arrival to answer. choose says which
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

// queue is `bench queue`.
func queue(ctx context.Context, binary string, out io.Writer) error {
	runs, err := queueRuns(ctx, binary)
	if err != nil {
		return err
	}
	report(out, runs)
	return nil
}

// queueRuns makes the draws' calls at two engines of one satellite.
func queueRuns(ctx context.Context, binary string) ([]played, error) {
	b, err := newEngineBench(binary)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	var replicas []string
	for range queueReplicas {
		r, err := b.start(ctx, b.self, "sleeper")
		if err != nil {
			return nil, err
		}
		replicas = append(replicas, r.addr)
	}
	var addresses []string
	for range 2 {
		addr, err := freeAddress()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, addr)
	}
	for i, addr := range addresses {
		dir := filepath.Join(b.dir, "pair"+strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("bench"), 0o600); err != nil {
			return nil, err
		}
		if _, err := b.engine(ctx, "pair"+strconv.Itoa(i), replicas, 1, addr, "--peer", strings.Join(addresses, ",")); err != nil {
			return nil, err
		}
	}
	time.Sleep(settle) // the engines find each other
	return play(ctx, addresses, draws(queueCalls, queueReplicas, queueLoad))
}

// report prints the measured p99 beside simulations of the same calls: they
// come when they came, and take what the draws say or what the replicas took.
func report(out io.Writer, runs []played) {
	got := make([]time.Duration, len(runs))
	drawn, taken := make([]draw, len(runs)), make([]draw, len(runs))
	for i, r := range runs {
		got[i] = r.answered - r.sent
		drawn[i], taken[i] = draw{r.sent, r.service}, draw{r.sent, r.ended - r.began}
	}
	fmt.Fprintf(out, "two engines, %d one-call replicas, %d calls at %.0f%% load, log-normal service times of %v on average\n", queueReplicas, len(runs), 100*queueLoad, queueMean)
	for _, as := range []struct {
		name  string
		calls []draw
	}{{"the same draws", drawn}, {"the times that the replicas took", taken}} {
		p99, ideal, service := percentile(got, .99), percentile(simulate(as.calls, func() int { return -1 }), .99), plainService(as.calls)
		fmt.Fprintf(out, "  p99 %.1f ms; with %s: one ideal queue %.1f ms (%.2f of it), a plain Service %.1f ms (%.2f of it)\n",
			ms(p99), as.name, ms(ideal), float64(p99)/float64(ideal), ms(service), float64(p99)/float64(service))
	}
	over, waits := overheads(runs)
	fmt.Fprintf(out, "  a replica took %.2f ms more than its draw (median, p99 %.2f); a slot for which calls waited stood free for %.2f ms (median, p99 %.2f)\n",
		ms(percentile(over, .5)), ms(percentile(over, .99)), ms(percentile(waits, .5)), ms(percentile(waits, .99)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// plainService is the p99 of a Service, over several runs of its choices.
func plainService(calls []draw) time.Duration {
	r := rand.New(rand.NewPCG(13, 17)) //nolint:gosec // the same choices in every run
	var times []time.Duration
	for range queueChances {
		times = append(times, simulate(calls, func() int { return r.IntN(queueReplicas) })...)
	}
	return percentile(times, .99)
}

// overheads are what the replicas took over their draws, and how long a slot
// stood free while the call that got it next had been sent.
func overheads(runs []played) (over, free []time.Duration) {
	byStart := slices.SortedFunc(slices.Values(runs), func(a, b played) int { return cmp.Compare(a.began, b.began) })
	last := map[string]played{}
	for _, r := range byStart {
		over = append(over, r.ended-r.began-r.service)
		if before, ok := last[r.replica]; ok && r.sent < before.ended {
			free = append(free, r.began-before.ended)
		}
		last[r.replica] = r
	}
	return over, free
}

// played is a call that was made; its times count from the first call.
type played struct {
	draw
	sent, began, ended, answered time.Duration
	replica                      string
}

// play makes the calls at their times, by turns to each engine.
func play(ctx context.Context, engines []string, calls []draw) ([]played, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var (
		group, failed = errgroup.WithContext(ctx)
		runs          = make([]played, len(calls))
		start         = time.Now()
	)
	for i, c := range calls {
		time.Sleep(time.Until(start.Add(c.at)))
		group.Go(func() (err error) {
			runs[i], err = c.play(failed, client, engines[i%len(engines)], start)
			return err
		})
	}
	return runs, group.Wait()
}

func (d draw) play(ctx context.Context, client *http.Client, addr string, start time.Time) (played, error) {
	r := played{draw: d, sent: time.Since(start)}
	answer, err := callOnce(ctx, client, addr, "application/json", []byte(strconv.FormatInt(d.service.Nanoseconds(), 10)))
	if err != nil {
		return r, err
	}
	r.answered = time.Since(start)
	var told struct{ Result slept }
	if err := json.Unmarshal(answer, &told); err != nil {
		return r, fmt.Errorf("read the answer: %w", err)
	}
	r.began, r.ended, r.replica = told.Result.Began.Sub(start), told.Result.Ended.Sub(start), told.Result.Replica
	return r, nil
}

// slept is what a sleeper answers.
type slept struct {
	Replica      string
	Began, Ended time.Time
}

// serveSleeper is `bench sleeper`: an algorithm that takes as many nanoseconds
// as it is told, one call at a time.
func serveSleeper(out io.Writer) error {
	var one sync.Mutex
	replica := strconv.Itoa(os.Getpid())
	return serve(out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, _ := strconv.ParseInt(string(body), 10, 64)
		one.Lock()
		told := slept{Replica: replica, Began: time.Now()}
		sleepExactly(time.Duration(n))
		told.Ended = time.Now()
		one.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"result": told, "metadata": map[string]any{"content_type": "json"}})
	}))
}
