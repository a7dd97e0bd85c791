package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/control"
)

// clocks collects how far the clocks of all servers are from the database's; without
// a database it has nothing to say.
type clocks struct{ control *control.Service }

var clockDesc = prometheus.NewDesc("constellation_server_clock_ahead_seconds",
	"How far the clock of each running server is before the database's; less than none is behind.", []string{"server"}, nil)

// Describe is part of prometheus.Collector.
func (clocks) Describe(ch chan<- *prometheus.Desc) { ch <- clockDesc }

// Collect is part of prometheus.Collector, whose calls have no context.
func (c clocks) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	servers, err := c.control.Servers(ctx)
	if err != nil {
		return
	}
	for _, s := range servers {
		if s.ClockAhead != nil {
			ch <- prometheus.MustNewConstMetric(clockDesc, prometheus.GaugeValue, *s.ClockAhead, s.ID)
		}
	}
}
