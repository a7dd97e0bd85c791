// Package engine is the satellite's execution engine: it answers the
// algorithm-call API (docs: the original platform's clients work unchanged)
// and holds each replica of an algorithm to its concurrency.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
)

// Options are an engine's settings. Dir is required; the zero value of any
// other is its default, but for the drain times, where zero is none.
type Options struct {
	Dir           string // holds routes.json and keys.json
	Listen        string // the calls' address, :8080
	MetricsListen string // metrics' and probes' address; "" is none
	Kubeconfig    string // "" is the pod's own service account
	Namespace     string // "" is the pod's or the kubeconfig's

	DrainDelay   time.Duration // calls are accepted so long after the stop signal
	DrainTimeout time.Duration // calls in flight have so long after that
	ReloadEvery  time.Duration // how often the files are looked at, 1s

	KeyRate constellation.KeyRate // of keys that have none of their own

	AccessLog    io.Writer // a JSON line a call; nil is none
	AccessSample int       // of calls that went well, one line in so many; 0 and 1 are all

	Peers       []string // the satellite's other engines, host:port; in a cluster they are looked up
	PeerService string   // whose endpoints the engines are, execution-engine
	TokenFile   string   // what the engines have in common, DIR/token
	OTLP        string   // where spans go, a URL; "" sends none
	NoFastPath  bool     // net/http alone
	Loops       int      // event loops of the fast path, one a core

	Log *slog.Logger // nil discards
	Now func() time.Time
}

// Engine is a running satellite's front. Make it with New.
type Engine struct {
	opts       Options
	log        *slog.Logger
	access     *accessLog
	room       *semaphore.Weighted // for large bodies
	peers      *peers
	front      atomic.Pointer[front] // nil before Serve, and without a fast path
	tracer     *tracer
	port       string // of the calls' listener
	now        func() time.Time
	background context.Context // ends with Run, after the last call
	stop       context.CancelFunc

	table    atomic.Pointer[table]
	keys     atomic.Pointer[keyring]
	holder   keyholder // of keys
	report   reporting
	metrics  *metrics
	watcher  *watcher // nil without a cluster
	draining atomic.Bool
	revivals sync.WaitGroup

	applying sync.Mutex // one reload or endpoint change at a time
	routes   watchedFile
	keysFile watchedFile
	warned   time.Time
	asked    string // the installer's last question, and
	answered string // the last one that was answered
}

// New reads the configuration. A file that is missing or broken, or services
// without a cluster to look them up in, is an error for the operator.
func New(ctx context.Context, opts Options) (*Engine, error) {
	if opts.ReloadEvery == 0 {
		opts.ReloadEvery = time.Second
	}
	if opts.PeerService == "" {
		opts.PeerService = "execution-engine"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	e := &Engine{opts: opts, log: opts.Log, now: opts.Now}
	e.background, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.access = newAccessLog(opts.AccessLog, opts.AccessSample)
	e.room = semaphore.NewWeighted(bodyRoom)
	secret, err := readSecret(opts)
	if err != nil {
		e.stop()
		return nil, err
	}
	e.peers = newPeers(e, secret)
	if e.tracer, err = newTracer(ctx, opts.OTLP); err != nil {
		e.stop()
		return nil, err
	}
	e.report = newReporting(e.now())
	e.holder.rate, e.holder.ring = opts.KeyRate, &e.keys
	e.metrics = newMetrics(e)
	e.routes = newWatchedFile(opts.Dir, config.RoutesFile, e.takeRoutes)
	e.keysFile = newWatchedFile(opts.Dir, config.KeysFile, e.takeKeys)
	if err := e.start(); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// start reads the files for the first time.
func (e *Engine) start() error {
	routes, err := config.ReadRoutes(e.opts.Dir)
	if err != nil {
		return err
	}
	if err := e.watchCluster(routes); err != nil {
		return err
	}
	if err := e.reload(&e.keysFile); err != nil {
		return err
	}
	return e.reload(&e.routes)
}

// Run serves until ctx ends, then drains: it is not ready any more but
// accepts calls for DrainDelay, then finishes those in flight.
func (e *Engine) Run(ctx context.Context) error {
	calls, err := listen(ctx, e.opts.Listen)
	if err != nil {
		return err
	}
	var metrics net.Listener
	if e.opts.MetricsListen != "" {
		if metrics, err = listen(ctx, e.opts.MetricsListen); err != nil {
			_ = calls.Close()
			return err
		}
	}
	return e.Serve(ctx, calls, metrics)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}

// Serve is Run on listeners that are there already; metrics may be nil. It
// closes both.
func (e *Engine) Serve(ctx context.Context, calls, metrics net.Listener) error {
	defer e.stop()
	_, e.port, _ = net.SplitHostPort(calls.Addr().String())
	front, err := newFront(e, calls)
	if err != nil {
		_ = calls.Close()
		return err
	}
	e.front.Store(front)
	servers := []*http.Server{e.server(e)}
	listeners := []net.Listener{calls}
	if front != nil {
		listeners[0] = front.slow
	}
	if metrics != nil {
		servers = append(servers, e.server(e.metricsHandler()))
		listeners = append(listeners, metrics)
	}
	e.log.Info("the engine serves", "listen", calls.Addr().String(), "algorithms", len(e.table.Load().routes))
	// What runs beside the calls must outlive ctx: calls in flight need it
	// until the drain is over.
	group, failed := errgroup.WithContext(e.background)
	for i, server := range servers {
		group.Go(func() error {
			if err := server.Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", listeners[i].Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error { e.watchFiles(failed); return nil })
	group.Go(func() error { e.peers.run(failed); return nil })
	if e.watcher != nil {
		group.Go(func() error { e.watcher.run(failed, e.refresh); return nil })
	}
	select {
	case <-ctx.Done():
		e.drain(calls, servers)
	case <-failed.Done():
		_ = calls.Close()
		for _, server := range servers {
			_ = server.Close()
		}
	}
	front.close()
	e.stop()
	err = group.Wait()
	e.revivals.Wait()
	e.closeIdle(time.Time{})
	e.access.flush()
	e.tracer.close()
	return err
}

// server has time-outs that no honest caller meets: a body of 10 MiB in five
// minutes, and the longest call's time-out with as much again for its answer.
func (e *Engine) server(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // for ingress controllers that speak h2c
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 15 * time.Second,
		ReadTimeout:       5 * time.Minute,
		WriteTimeout:      config.MaxTimeoutSeconds*time.Second + 10*time.Minute,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
}

func (e *Engine) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("POST "+heartbeat.PeerPath, heartbeat.PeerHandler(e, e.Token()))
	mux.HandleFunc("GET /healthz", e.serveHealth)
	mux.HandleFunc("GET /readyz", e.serveReady)
	return mux
}

func (e *Engine) drain(calls net.Listener, servers []*http.Server) {
	e.draining.Store(true)
	e.peers.drain()
	e.log.Info("draining", "delay", e.opts.DrainDelay.String(), "timeout", e.opts.DrainTimeout.String())
	if e.opts.DrainDelay > 0 {
		select {
		case <-time.After(e.opts.DrainDelay):
		case <-e.background.Done():
		}
	}
	ctx, cancel := context.WithTimeout(e.background, e.opts.DrainTimeout)
	defer cancel()
	front := e.front.Load()
	if front != nil {
		_ = calls.Close()
	}
	if err := front.drain(ctx); err != nil {
		e.log.Warn("calls in flight were cut: the drain's time is over", "error", err)
	}
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			e.log.Warn("calls in flight were cut: the drain's time is over", "error", err)
			_ = server.Close()
		}
	}
	e.log.Info("drained")
}

// refresh takes what the cluster says of a service's endpoints.
func (e *Engine) refresh(service string) {
	e.applying.Lock()
	defer e.applying.Unlock()
	for _, r := range e.table.Load().routes {
		if r.Service == service && len(r.Endpoints) == 0 {
			r.pool.setReplicas(r.addresses(e.watcher.hosts(service)))
		}
	}
}

func (e *Engine) closeIdle(before time.Time) {
	for _, r := range e.table.Load().routes {
		r.pool.closeIdle(before)
	}
}
