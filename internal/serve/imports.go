package serve

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/importer"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// addImportJobs adds what brings images of registries elsewhere here.
func addImportJobs(set *jobs.Set, c *Config, m *mothership) {
	allowed, _ := outbound.ParseAllowed(c.outboundAllow) // Config.check has
	m.importer = importer.New(importer.Options{Control: m.control, Storage: m.storage, Allowed: allowed, Log: m.log})
	m.importer.AddJobs(set)
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

// mirrorTotals collects how many mirrors there are; without a database it has nothing to
// say.
type mirrorTotals struct{ control *control.Service }

var mirrorsDesc = prometheus.NewDesc("constellation_mirrors", "Rules by which tags of registries elsewhere become versions, by state: waiting, watching, failing or disabled.", []string{"state"}, nil)

// Describe is part of prometheus.Collector.
func (mirrorTotals) Describe(ch chan<- *prometheus.Desc) { ch <- mirrorsDesc }

// Collect is part of prometheus.Collector, whose calls have no context.
func (t mirrorTotals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := t.control.MirrorCounts(ctx)
	if err != nil {
		return
	}
	found := map[string]int64{}
	for _, c := range counts {
		found[c.State] = c.Count
	}
	for _, state := range constellation.MirrorStates {
		ch <- prometheus.MustNewConstMetric(mirrorsDesc, prometheus.GaugeValue, float64(found[string(state)]), string(state))
	}
}
