package serve

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// launchTotals collects how many launches there are by status, and by the values of
// labels that the settings name; without a database it has nothing to say.
type launchTotals struct {
	control *control.Service
	labels  []string
}

var (
	launchesDesc = prometheus.NewDesc("constellation_launches", "Launches of all satellites by status: up, degraded, stale or never_seen; at most a minute old.", []string{"status"}, nil)
	labelledDesc = prometheus.NewDesc("constellation_labelled_launches",
		"Launches that have a label of --metrics-labels, by its value and by status. The value _other stands for all but the most common ones; at most a minute old.", []string{"label", "value", "status"}, nil)
)

// checkMetricsLabels returns what is wrong with the labels that metrics have.
func (c *Config) checkMetricsLabels() error {
	var v constellation.Validation
	for _, key := range c.metricsLabels {
		constellation.CheckLabels(&v, "metrics-labels", constellation.Labels{key: ""})
	}
	if err := v.Err(); err != nil {
		return command.UsageError{Err: fmt.Errorf("--metrics-labels: %w", err)}
	}
	if len(c.metricsLabels) > control.MaxMetricsLabels || len(slices.Compact(slices.Sorted(slices.Values(c.metricsLabels)))) < len(c.metricsLabels) {
		return command.UsageError{Err: fmt.Errorf("--metrics-labels has at most %d labels, each once", control.MaxMetricsLabels)}
	}
	return nil
}

// Describe is part of prometheus.Collector.
func (launchTotals) Describe(ch chan<- *prometheus.Desc) {
	ch <- launchesDesc
	ch <- labelledDesc
}

// Collect is part of prometheus.Collector, whose calls have no context.
func (t launchTotals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	totals, err := t.control.LaunchTotals(ctx, t.labels)
	if err != nil {
		return
	}
	for _, total := range totals {
		if total.Label == "" {
			ch <- prometheus.MustNewConstMetric(launchesDesc, prometheus.GaugeValue, float64(total.Count), string(total.Status))
			continue
		}
		ch <- prometheus.MustNewConstMetric(labelledDesc, prometheus.GaugeValue, float64(total.Count), total.Label, total.Value, string(total.Status))
	}
}
