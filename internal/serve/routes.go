package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/admin"
	"github.com/constellation-serving/constellation/internal/api"
	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/registry"
)

// MaxBodies is how many bytes of request bodies are in memory at a time.
const MaxBodies = 64 << 20

// routes is everything the mothership answers.
func (m *mothership) routes(ctx context.Context, c *Config, ready *httpserve.Readiness) (http.Handler, error) {
	address, err := httpserve.ClientAddress(c.trustedProxies, m.log)
	if err != nil {
		return nil, err
	}
	metrics := httpserve.NewMetrics(m.build.Version, m.build.Commit, slices.Concat(poolMetrics(m), []prometheus.Collector{totals{m.control}, launchTotals{m.control, c.metricsLabels}, backupState{m.db, c.backup.target != ""}, importTotals{m.control}, mirrorTotals{m.control}, clocks{m.control}, auditState{m.control}, m.tracer.Collector()}, m.jobs.Collectors(), m.notify.Collectors(), m.limits.Collectors(), expiry(m.acme))...)
	rest := api.New(m.control, api.Options{PublicURL: m.publicURL, Version: m.build.Version, Stopping: ctx.Done(), RequireIfMatch: c.requireIfMatch, Limits: m.limits})
	bodies := httpserve.NewBodies(MaxBodies, MaxBodies/4)
	images := httpserve.Rooted(registry.New(m.control, m.storage, registry.Options{Log: m.log, Bodies: bodies, CatalogPage: c.catalogPage, Limits: m.limits}))
	panel := admin.New(m.control, admin.Options{PublicURL: m.publicURL, RegistryHost: c.registryHost, Log: m.log, Stopping: ctx.Done(), Reference: rest.Reference(), Limits: m.limits})

	r := chi.NewRouter()
	r.Use(httpserve.RequestID, httpserve.Trace(m.tracer, registry.Pattern), httpserve.Timeouts(2*time.Minute, 5*time.Minute), address, httpserve.AccessLog(m.log), metrics.Measure, httpserve.Recover(m.log),
		httpserve.SecureHeaders(strings.HasPrefix(m.publicURL, "https://")), httpserve.HeadAsGet)
	r.MethodNotAllowed(methodNotAllowed)
	r.Get("/healthz", httpserve.Healthz)
	r.Method(http.MethodGet, "/readyz", ready)
	r.Method(http.MethodGet, "/metrics", metrics.Handler())
	r.Handle("/v2", images) // images of any size, for as long as it takes
	r.Handle("/v2/*", images)
	r.Group(func(r chi.Router) {
		r.Use(bodies.Limit, httpserve.LimitBody(httpserve.DefaultBodyLimit))
		r.Handle("/v1", rest)
		r.Handle("/v1/*", rest)
		r.With(m.countAddress).Handle("/openapi.json", rest)
		r.Handle("/*", panel) // says which methods a page takes
	})
	return r, nil
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	httpserve.WriteError(w, r, httpserve.WithReason(
		constellation.Errorf(constellation.KindMalformed, "this address does not take the method %s", r.Method), apiv1.ReasonMethodNotAllowed))
}

// poolMetrics are the numbers of the database's connections.
func poolMetrics(m *mothership) []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "constellation_db_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("connections", "Connections to PostgreSQL.", func() float64 { return float64(m.db.Stat().TotalConns()) }),
		gauge("connections_in_use", "Connections that run something.", func() float64 { return float64(m.db.Stat().AcquiredConns()) }),
		gauge("connections_max", "The most connections.", func() float64 { return float64(m.db.Stat().MaxConns()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "constellation_db_acquires_total", Help: "Times a connection was taken."},
			func() float64 { return float64(m.db.Stat().AcquireCount()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "constellation_db_acquire_wait_seconds_total", Help: "Time spent waiting for a connection."},
			func() float64 { return m.db.Stat().AcquireDuration().Seconds() }),
	}
}

// totals collects how much there is of everything; without a database it has
// nothing to say.
type totals struct{ control *control.Service }

var totalDesc = prometheus.NewDesc("constellation_objects", "How many of a kind there are; at most a minute old.", []string{"kind"}, nil)

// Describe is part of prometheus.Collector.
func (totals) Describe(ch chan<- *prometheus.Desc) { ch <- totalDesc }

// Collect is part of prometheus.Collector, whose calls have no context.
func (t totals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s, err := t.control.Stats(ctx)
	if err != nil {
		return
	}
	for kind, n := range map[string]int64{
		"account": s.Accounts, "algorithm": s.Algorithms, "algorithm_version": s.AlgorithmVersions,
		"satellite": s.Satellites, "launch": s.Launches,
	} {
		ch <- prometheus.MustNewConstMetric(totalDesc, prometheus.GaugeValue, float64(n), kind)
	}
}
