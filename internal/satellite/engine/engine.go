// Package engine is the satellite's execution engine: it answers the
// algorithm-call API (docs: the original platform's clients work unchanged)
// and holds each replica of an algorithm to its concurrency.
package engine

import (
	"cmp"
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

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/authn"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/identity"
	"github.com/constellation-serving/constellation/internal/satellite/insight"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/passthrough"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
	"github.com/constellation-serving/constellation/internal/satellite/reload"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/scale"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
	"github.com/constellation-serving/constellation/internal/satellite/tlsserve"
	"github.com/constellation-serving/constellation/internal/satellite/upkeep"
)

// Options are an engine's settings. Dir is required; the zero value of any
// other is its default, but for the drain times, where zero is none.
type Options struct {
	Dir           string           // holds routes.json and keys.json
	Listen        string           // the calls' address, :8080
	MetricsListen string           // metrics' and probes' address; "" is none
	TLS           tlsserve.Address // where calls come by TLS too
	Kubeconfig    string           // "" is the pod's own service account
	Namespace     string           // "" is the pod's or the kubeconfig's

	DrainDelay   time.Duration // calls are accepted so long after the stop signal
	DrainTimeout time.Duration // calls in flight have so long after that
	ReloadEvery  time.Duration // how often the files are looked at, 1s

	KeyRate constellation.KeyRate // of keys that have none of their own

	AccessLog    io.Writer // a JSON line a call; nil is none
	AccessSample int       // of calls that went well, one line in so many; 0 and 1 are all

	Peers       []string // the satellite's other engines, host:port; in a cluster they are looked up
	PeerService string   // whose endpoints the engines are, execution-engine
	TokenFile   string   // what the engines have in common, DIR/token
	OTLP        string   // where spans go, a URL; "" is what the standard variables say
	QueueDir    string   // where this engine's own queue is stored; "" has none
	NoFastPath  bool     // net/http alone, and no event loop
	Loops       int      // event loops of the fast path, one a core

	replies         *memory.Budget // of tests; nil is the default
	durableAttempts int            // of tests; 0 is the default

	Log *slog.Logger // nil discards
	Now func() time.Time
}

// Engine is a running satellite's front end. Make it with New.
type Engine struct {
	opts       Options
	log        *slog.Logger
	access     *telemetry.AccessLog
	paths      telemetry.Paths
	requests   *memory.Budget // for large bodies
	replies    *memory.Budget
	mesh       *peer.Mesh             // the links to the satellite's other engines
	server     atomic.Pointer[server] // nil before Serve, and without a fast path
	callers    *authn.Authenticator
	identities *identity.Identities
	secure     atomic.Pointer[tlsserve.Server] // nil without TLS
	tracer     *telemetry.Tracer
	insights   insight.Taker
	durable    *durable.Service
	upkeep     *upkeep.Service
	passing    *passthrough.Transport
	sockets    passthrough.Sockets
	port       string // of the calls' listener
	now        func() time.Time
	background context.Context // ends with Run, after the last call
	stop       context.CancelFunc

	table    atomic.Pointer[routing.Table]
	keys     *keyring.Ring
	report   reporting
	metrics  *telemetry.Metrics
	watcher  *discovery.Watcher              // nil without a cluster, as is
	keeper   *keyring.Keeper                 // nil without a cluster
	scaler   *scale.Scaler                   // nil without a cluster, and then it does nothing
	lease    atomic.Pointer[heartbeat.Lease] // nil when nobody asked for it
	draining atomic.Bool
	restarts sync.WaitGroup

	applying   sync.Mutex // one reload or endpoint change at a time
	routesFile *reload.File
	keysFile   *reload.File
	warned     time.Time
	probe      *reload.Probe
}

// Large bodies and replies take their memory from a budget: one for requests,
// one for replies. While it is used up, the next ones wait unread, held back
// by TCP. So the engine's memory stays bounded however many callers send large
// bodies, or read their replies slowly.
const (
	bodyMaxWait  = time.Minute
	replyMaxWait = 15 * time.Second // the replica's slot is held meanwhile
)

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
	e.access = telemetry.NewAccessLog(opts.AccessLog, opts.AccessSample)
	e.requests, e.replies = memory.NewBudget(memory.DefaultSize(), bodyMaxWait), cmp.Or(opts.replies, memory.NewBudget(memory.DefaultSize(), replyMaxWait))
	var err error
	if e.mesh, err = newMesh(e); err != nil {
		e.stop()
		return nil, err
	}
	if e.tracer, err = telemetry.NewTracer(ctx, opts.OTLP, e.log); err != nil {
		e.stop()
		return nil, err
	}
	e.report = newReporting(e.now())
	e.keys = keyring.New(opts.KeyRate)
	e.identities = newIdentities(e)
	e.callers = authn.New(authn.Options{Keys: e.keys, Others: e.identities, Table: e.table.Load, OnSpent: e.mesh.NotifySpent, Now: e.now, Engines: opts.PeerService})
	e.durable = newDurable(e)
	e.upkeep = upkeep.New(upkeep.Options{Durable: e.durable, Launch: func() string { return e.table.Load().Launch }, Log: e.log, Now: e.now})
	e.metrics = newMetrics(e)
	e.passing = passthrough.NewTransport()
	e.insights = insight.Taker{Table: e.table.Load, Metrics: e.metrics, Access: e.access}
	e.routesFile = reload.NewFile(opts.Dir, config.RoutesFile, e.applyRoutes)
	e.keysFile = reload.NewFile(opts.Dir, config.KeysFile, e.applyKeys)
	e.probe = reload.NewProbe(opts.Dir)
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
	e.callers.Watcher = e.watcher
	if e.watcher != nil {
		cluster := e.watcher.Cluster()
		if e.keeper, err = keyring.NewKeeper(cluster.Config, cluster.Namespace, routes.Satellite.ID, e.keys, keySetter{e}, e.log); err != nil {
			return err
		}
		if e.scaler, err = newScaler(e, cluster); err != nil {
			return err
		}
	}
	if err := e.load(e.keysFile); err != nil {
		return err
	}
	return e.load(e.routesFile)
}

// Run serves until ctx ends, then drains: it is not ready any more but
// accepts calls for DrainDelay, then finishes those in flight.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.listenTLS(ctx); err != nil {
		return err
	}
	calls, err := tlsserve.ListenTCP(ctx, e.opts.Listen)
	if err != nil {
		return err
	}
	var metrics net.Listener
	if e.opts.MetricsListen != "" {
		if metrics, err = tlsserve.ListenTCP(ctx, e.opts.MetricsListen); err != nil {
			_ = calls.Close()
			return err
		}
	}
	return e.Serve(ctx, calls, metrics)
}

// Serve is Run on listeners that are there already; metrics may be nil. It
// closes both.
func (e *Engine) Serve(ctx context.Context, calls, metrics net.Listener) error {
	defer e.stop()
	_, e.port, _ = net.SplitHostPort(calls.Addr().String())
	srv, err := newServer(e, calls)
	if err != nil {
		_ = calls.Close()
		return err
	}
	e.server.Store(srv)
	servers := []*http.Server{e.httpServer(e)}
	listeners := []net.Listener{calls}
	if srv != nil {
		listeners[0] = srv.slow
	}
	if metrics != nil {
		servers = append(servers, e.httpServer(e.metricsHandler()))
		listeners = append(listeners, metrics)
	}
	if by := e.secure.Load(); by != nil {
		servers, listeners = append(servers, e.httpServer(e)), append(listeners, by)
	}
	e.log.Info("the engine serves", "listen", calls.Addr().String(), "algorithms", len(e.table.Load().Routes), "event_loop", srv != nil)
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
	if srv != nil {
		group.Go(func() error { return srv.serveWithout(failed, servers[0]) })
	}
	for _, run := range []func(context.Context){e.poll, e.mesh.Run, e.durable.Run, e.upkeep.Run, e.identities.Run, e.secure.Load().Run} {
		group.Go(func() error { run(failed); return nil })
	}
	if e.watcher != nil {
		group.Go(func() error { e.watcher.Run(failed, e.refresh); return nil })
		group.Go(func() error { e.keeper.Run(failed); return nil })
		group.Go(func() error { e.scaler.Run(failed); return nil })
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
	srv.close()
	e.stop()
	err = group.Wait()
	e.durable.Close(context.WithoutCancel(ctx))
	e.restarts.Wait()
	e.closeIdle(time.Time{})
	e.passing.CloseIdle()
	e.access.Flush()
	e.tracer.Close(context.WithoutCancel(ctx))
	return err
}

func (e *Engine) drain(calls net.Listener, servers []*http.Server) {
	e.draining.Store(true)
	e.mesh.Drain()
	e.durable.Stop()
	e.log.Info("draining", "delay", e.opts.DrainDelay.String(), "timeout", e.opts.DrainTimeout.String())
	if e.opts.DrainDelay > 0 {
		select {
		case <-time.After(e.opts.DrainDelay):
		case <-e.background.Done():
		}
	}
	ctx, cancel := context.WithTimeout(e.background, e.opts.DrainTimeout)
	defer cancel()
	e.sockets.GoAway()
	srv := e.server.Load()
	if srv != nil {
		_ = calls.Close()
	}
	if err := srv.drain(ctx); err != nil {
		e.log.Warn("calls in flight were cut: the drain's time is over", "error", err)
	}
	if err := e.sockets.Wait(ctx); err != nil {
		e.log.Warn("WebSockets were cut: the drain's time is over", "error", err)
	}
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			e.log.Warn("calls in flight were cut: the drain's time is over", "error", err)
			_ = server.Close()
		}
	}
	e.durable.Drain(ctx)
	e.log.Info("drained")
}

func (e *Engine) closeIdle(before time.Time) {
	for _, r := range e.table.Load().Routes {
		r.Pool.CloseIdle(before)
	}
}
