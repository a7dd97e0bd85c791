package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	queueLength  = 2048             // spans that wait
	batchLength  = 512              // spans that are sent together
	batchEvery   = 2 * time.Second  // that a span waits for others
	sendTimeout  = 10 * time.Second // of a batch, with its retries
	closeTimeout = 3 * time.Second
	maxToldError = 300 // bytes of what is told of a failure
)

// queue is a span processor: ended spans wait in it for their batch. It differs from
// the SDK's in that what is lost is counted and told of.
type queue struct {
	exporter  sdktrace.SpanExporter
	collector string // scheme, host and port
	log       *slog.Logger

	spans chan sdktrace.ReadOnlySpan
	end   chan struct{}
	ended chan struct{}
	once  sync.Once
	send  context.Context // of what is sent
	stop  context.CancelFunc

	sent, dropped, failed atomic.Uint64
	told                  uint64 // of dropped, when the last batch was sent
	trouble               bool   // was told of
}

func newQueue(ctx context.Context, exporter sdktrace.SpanExporter, collector string, log *slog.Logger) *queue {
	q := &queue{exporter: exporter, collector: collector, log: log,
		spans: make(chan sdktrace.ReadOnlySpan, queueLength), end: make(chan struct{}), ended: make(chan struct{})}
	q.send, q.stop = context.WithCancel(context.WithoutCancel(ctx)) // until Shutdown
	go q.run()
	return q
}

// OnStart is part of sdktrace.SpanProcessor.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd is part of sdktrace.SpanProcessor. It never waits.
func (q *queue) OnEnd(span sdktrace.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- span:
	default:
		q.dropped.Add(1)
	}
}

// ForceFlush is part of sdktrace.SpanProcessor; nobody calls it.
func (q *queue) ForceFlush(context.Context) error { return nil }

// Shutdown is part of sdktrace.SpanProcessor: it sends what is left until ctx ends.
func (q *queue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.end) })
	defer q.stop()
	select {
	case <-q.ended:
	case <-ctx.Done():
		q.stop()
		<-q.ended
	}
	return q.exporter.Shutdown(ctx)
}

// run sends batches until the end.
func (q *queue) run() {
	defer close(q.ended)
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	batch := make([]sdktrace.ReadOnlySpan, 0, batchLength)
	for {
		ending := false
		select {
		case span := <-q.spans:
			if batch = append(batch, span); len(batch) < batchLength {
				continue
			}
		case <-tick.C:
		case <-q.end:
			ending = true
		}
		batch = q.export(batch)
		if !ending {
			continue
		}
		for {
			select {
			case span := <-q.spans:
				if batch = append(batch, span); len(batch) == batchLength {
					batch = q.export(batch)
				}
				continue
			default:
			}
			q.export(batch)
			return
		}
	}
}

// export sends a batch and returns it empty.
func (q *queue) export(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(q.send, sendTimeout)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	if err != nil {
		q.failed.Add(uint64(len(batch)))
	} else {
		q.sent.Add(uint64(len(batch)))
	}
	q.tell(err)
	clear(batch)
	return batch[:0]
}

// tell logs when trouble begins and when it is over, and not in between.
func (q *queue) tell(err error) {
	dropped := q.dropped.Load()
	lost := dropped - q.told
	q.told = dropped
	switch {
	case err == nil && lost == 0:
		if q.trouble {
			q.log.Info("the collector takes spans again", "collector", q.collector)
		}
		q.trouble = false
		return
	case q.trouble || q.send.Err() != nil:
		return
	case err == nil:
		err = fmt.Errorf("it takes fewer spans than there are: %d found no place", lost)
	}
	q.trouble = true
	text := err.Error()
	q.log.Warn("the collector of traces does not take spans as they come; those are dropped until it does, and requests go on", "collector", q.collector, "error", text[:min(len(text), maxToldError)])
}

var spansDesc = prometheus.NewDesc("constellation_trace_spans_total",
	"Spans by what became of them: sent to the collector, failed (it did not take them), dropped (too many waited).", []string{"outcome"}, nil)

// Collector returns the metrics of t, which may be nil.
func (t *Tracer) Collector() prometheus.Collector { return collector{t} }

type collector struct{ tracer *Tracer }

// Describe is part of prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) { ch <- spansDesc }

// Collect is part of prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	q := &queue{}
	if c.tracer != nil {
		q = c.tracer.queue
	}
	for outcome, n := range map[string]*atomic.Uint64{"sent": &q.sent, "failed": &q.failed, "dropped": &q.dropped} {
		ch <- prometheus.MustNewConstMetric(spansDesc, prometheus.CounterValue, float64(n.Load()), outcome)
	}
}
