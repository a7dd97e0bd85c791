package upkeep

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// Collector returns the metrics of the queue.
func (s *Service) Collector() prometheus.Collector { return collector{s} }

// collector tells what was last seen of the queue: a scrape asks the
// queue nothing.
type collector struct{ s *Service }

var (
	queueReady     = prometheus.NewDesc("constellation_queue_ready", "1 while the queue takes durable calls.", nil, nil)
	queueCalls     = prometheus.NewDesc("constellation_queue_calls", "Durable calls of the whole satellite that are in the queue, by algorithm and state: waiting, running, dead.", []string{"algorithm", "state"}, nil)
	queueOldest    = prometheus.NewDesc("constellation_queue_oldest_seconds", "For how long the oldest durable call has been there that waits or runs; 0 is none.", []string{"algorithm"}, nil)
	queueBytes     = prometheus.NewDesc("constellation_queue_bytes", "What the queue holds on each node.", nil, nil)
	queueLimit     = prometheus.NewDesc("constellation_queue_limit_bytes", "From where on the queue refuses.", nil, nil)
	queueNodes     = prometheus.NewDesc("constellation_queue_nodes", "Nodes that the queue should have.", nil, nil)
	queueNodesUp   = prometheus.NewDesc("constellation_queue_nodes_ready", "Nodes of the queue whose log is current.", nil, nil)
	queueLost      = prometheus.NewDesc("constellation_queue_lost_calls_total", "Accepted calls that are unaccounted for, since the queue came back without them.", nil, nil)
	callbacksQueue = prometheus.NewDesc("constellation_callbacks_waiting", "Results that are still to be posted to whom their callers named.", nil, nil)
)

// Describe sends what Collect collects.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append(slowDescs, queueReady, queueCalls, queueOldest, queueBytes, queueLimit, queueNodes, queueNodesUp, queueLost, callbacksQueue) {
		ch <- d
	}
}

// Collect sends what was last seen.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, d := c.s.status.Load(), c.s.Durable.Session()
	if s == nil || d == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ready := 0.0
	if s.State != operate.StateUnreachable && !s.Draining {
		ready = 1
	}
	gauge(queueReady, ready)
	gauge(queueNodes, float64(d.Settings.Replicas))
	up := 0
	for _, n := range s.Nodes {
		if n.Ready {
			up++
		}
	}
	gauge(queueNodesUp, float64(up))
	gauge(queueLimit, float64(s.Limit))
	ch <- prometheus.MustNewConstMetric(queueLost, prometheus.CounterValue, float64(s.LostCalls()))
	if s.State == operate.StateUnreachable {
		return // what it holds is not known
	}
	c.s.slow.Load().collect(ch)
	gauge(queueBytes, float64(s.Used))
	gauge(callbacksQueue, float64(c.s.posts.Load()))
	for _, a := range s.Algorithms {
		for state, n := range map[string]uint64{"waiting": a.Waiting, "running": a.Running, "dead": a.Dead} {
			gauge(queueCalls, float64(n), a.VanityURL, state)
		}
		gauge(queueOldest, (time.Duration(a.OldestSeconds) * time.Second).Seconds(), a.VanityURL)
	}
}
