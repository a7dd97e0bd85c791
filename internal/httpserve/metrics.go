package httpserve

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the server's own numbers, in a registry of their own.
type Metrics struct {
	registry *prometheus.Registry
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// NewMetrics makes Metrics with those of the process, the build and HTTP, and
// the collectors given.
func NewMetrics(version, commit string, more ...prometheus.Collector) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "constellation_http_request_duration_seconds",
			Help:    "How long requests took, by route.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "constellation_http_requests_in_flight",
			Help: "Requests being answered at the moment.",
		}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "constellation_build_info",
		Help:        "The version that runs; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.duration, m.inFlight, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(more...)
	return m
}

// Handler answers /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Measure counts requests by the pattern of their route, never by path.
func (m *Metrics) Measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		m.inFlight.Inc()
		recorded := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			m.inFlight.Dec()
			status := recorded.Status()
			if status == 0 {
				status = http.StatusOK
			}
			m.duration.WithLabelValues(method(r.Method), route(r), strconv.Itoa(status)).Observe(time.Since(begun).Seconds())
		}()
		next.ServeHTTP(recorded, r)
	})
}

// route is the pattern that answered, that of the innermost router.
func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && len(c.RoutePatterns) > 0 {
		return c.RoutePatterns[len(c.RoutePatterns)-1]
	}
	return "none"
}

// method keeps made-up methods from making series.
func method(s string) string {
	switch s {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return s
	}
	return "other"
}
