package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

const (
	endpointClients  = 32
	endpointLaunches = 1024 // a multiple of the clients
	endpointRounds   = 5
	endpointRound    = 4 * time.Second
)

// endpoint measures how many heartbeats a second the mothership takes, with
// all of its middleware, tokens and storing, beside a bare net/http handler
// that reads the same JSON and writes the same answer.
func endpoint(ctx context.Context, binary string, out io.Writer) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
	m, launches, err := seeded(ctx, binary, dir, endpointLaunches, endpointLaunches, 0)
	if err != nil {
		return err
	}
	defer m.Stop() //nolint:errcheck // the folder goes next
	bareHost, stop, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	hosts := map[string]string{"ours": m.Host, "bare": bareHost}
	for _, host := range hosts { // first heartbeats, and what warms up
		if _, err := pour(host, launches, 2*time.Second); err != nil {
			return err
		}
	}
	rates := map[string][]float64{}
	for range endpointRounds {
		for _, name := range []string{"bare", "ours"} {
			n, err := pour(hosts[name], launches, endpointRound)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rates[name] = append(rates[name], float64(n)/endpointRound.Seconds())
		}
	}
	slices.Sort(rates["bare"])
	slices.Sort(rates["ours"])
	bareRate, ours := rates["bare"][endpointRounds/2], rates["ours"][endpointRounds/2]
	fmt.Fprintf(out, "heartbeat endpoint, %d connections: %.0f a second; a bare Go JSON handler %.0f; ratio %.2f (wanted: 0.5; medians of %d alternating runs)\n",
		endpointClients, ours, bareRate, ours/bareRate, endpointRounds)
	return nil
}

// pour sends heartbeats as fast as they are answered, and gives how many.
func pour(host string, launches []*launch, length time.Duration) (int64, error) {
	var n, sequence atomic.Int64
	sequence.Store(time.Now().UnixMilli())
	end := time.Now().Add(length)
	errs := make([]error, endpointClients)
	var clients sync.WaitGroup
	for i := range endpointClients {
		clients.Go(func() {
			c, err := dial(host)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.Close() //nolint:errcheck // nothing is lost
			body := heartbeat(sequence.Add(1))
			for j := i; time.Now().Before(end); j += endpointClients {
				if j/endpointClients%endpointClients == 0 { // each launch has something new to say each time
					body = heartbeat(sequence.Add(1))
				}
				if err := launches[j%len(launches)].report(c, body); err != nil {
					errs[i] = err
					return
				}
				n.Add(1)
			}
		})
	}
	clients.Wait()
	return n.Load(), errors.Join(errs...)
}

// startBare starts this program again as the bare handler.
func startBare(ctx context.Context) (host string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find the program: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("find a port: %w", err)
	}
	host = listener.Addr().String()
	if err := listener.Close(); err != nil {
		return "", nil, fmt.Errorf("find a port: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "bare", host) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the bare handler: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 500 {
		if c, err := dial(host); err == nil {
			return host, stop, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("the bare handler does not answer")
}

// bare is the peer: net/http and encoding/json, and nothing else.
func bare(address string) error {
	answer := apiv1.HeartbeatAnswer{NextSeconds: 30, SatelliteVersion: 1, ExpiresAt: time.Now().UTC()}
	server := &http.Server{Addr: address, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in apiv1.Heartbeat
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, "no heartbeat", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	})}
	return server.ListenAndServe()
}
