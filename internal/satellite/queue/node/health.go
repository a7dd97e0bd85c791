package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// answer keeps what a handler of the server answers.
type answer struct {
	header http.Header
	code   int
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(c int)   { a.code = c }
func (a *answer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

// Ready returns nil once the node has all that it has to have: its log and
// those of its streams are current. Else it says what is missing.
func (n *Node) Ready() error {
	ns, waits := n.running()
	if ns == nil {
		return errors.New(cmp.Or(waits, "the node starts"))
	}
	err := health(ns)
	if stalled(ns, err) {
		return errNoSpace
	}
	return err
}

// health returns what the server says is wrong with it.
func health(ns *server.Server) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://node/healthz", nil)
	if err != nil {
		return err
	}
	a := &answer{header: http.Header{}, code: http.StatusOK}
	ns.HandleHealthz(a, r)
	if a.code == http.StatusOK {
		return nil
	}
	var says struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.body, &says) == nil && says.Error != "" {
		return errors.New(says.Error)
	}
	return fmt.Errorf("the node is not ready (%d)", a.code)
}

// healthServer answers probes and whoever reads the node's figures.
type healthServer struct {
	http     *http.Server
	listener net.Listener
}

func startHealth(n *Node) (*healthServer, error) {
	l, err := net.Listen("tcp", n.opts.HealthListen)
	if err != nil {
		return nil, fmt.Errorf("listen for probes: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(nodeMetrics{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := n.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET "+peerPath, n.answerPeer)
	mux.Handle(operate.Path, n.operatorRoutes())
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	h := &healthServer{listener: l, http: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}}
	go func() { _ = h.http.Serve(l) }()
	return h, nil
}

func (h *healthServer) close() { _ = h.http.Close() }

// healthAddress returns where the node answers probes, or "".
func (n *Node) healthAddress() string {
	if n.health == nil {
		return ""
	}
	return n.health.listener.Addr().String()
}

// nodeMetrics are the node's figures, read when they are asked for.
type nodeMetrics struct{ n *Node }

var (
	metricReady    = prometheus.NewDesc("queue_node_ready", "1 while the node's log is current.", nil, nil)
	metricUsed     = prometheus.NewDesc("queue_node_store_bytes", "What the node's streams store.", nil, nil)
	metricLimit    = prometheus.NewDesc("queue_node_store_limit_bytes", "What the node's streams may store.", nil, nil)
	metricFree     = prometheus.NewDesc("queue_node_disk_free_bytes", "What is free of the node's disk.", nil, nil)
	metricDisk     = prometheus.NewDesc("queue_node_disk_bytes", "The size of the node's disk.", nil, nil)
	metricMessages = prometheus.NewDesc("queue_node_messages", "Messages that the node stores, by stream.", []string{"stream"}, nil)
	metricLeads    = prometheus.NewDesc("queue_node_leads", "1 where the node leads a stream.", []string{"stream"}, nil)
)

// Describe gives no description: the streams are not known before they are there.
func (m nodeMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect gives the figures as they are now.
func (m nodeMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	a := m.n.figures()
	ready := 0.0
	if a.Reason == "" {
		ready = 1
	}
	gauge(metricReady, ready)
	gauge(metricUsed, float64(a.Used))
	gauge(metricLimit, float64(a.Size/100*storePercent))
	gauge(metricFree, float64(a.Free))
	gauge(metricDisk, float64(a.Total))
	for _, s := range m.n.streams() {
		gauge(metricMessages, float64(s.messages), s.name)
		leads := 0.0
		if s.leads {
			leads = 1
		}
		gauge(metricLeads, leads, s.name)
	}
}
