package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/importer"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// addImportJobs adds what brings images of registries elsewhere here.
func addImportJobs(set *jobs.Set, c *Config, m *mothership) {
	allowed, _ := outbound.ParseAllowed(c.outboundAllow) // Config.check has
	importer.New(importer.Options{Control: m.control, Storage: m.storage, Allowed: allowed, Log: m.log}).AddJobs(set)
}

// importTotals collects how many imports there are; without a database it has nothing
// to say.
type importTotals struct{ control *control.Service }

var importsDesc = prometheus.NewDesc("constellation_imports", "Versions of algorithms that come, or came, from registries elsewhere, by state: importing, ready or failed.", []string{"state"}, nil)

// Describe is part of prometheus.Collector.
func (importTotals) Describe(ch chan<- *prometheus.Desc) { ch <- importsDesc }

// Collect is part of prometheus.Collector, whose calls have no context.
func (t importTotals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := t.control.ImportCounts(ctx)
	if err != nil {
		return
	}
	found := map[string]int64{"importing": 0, "ready": 0, "failed": 0}
	for _, c := range counts {
		found[c.State] = c.Count
	}
	for state, n := range found {
		ch <- prometheus.MustNewConstMetric(importsDesc, prometheus.GaugeValue, float64(n), state)
	}
}
