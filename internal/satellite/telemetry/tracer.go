package telemetry

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// Tracer sends a span a call to an OTLP collector.
type Tracer struct {
	traces *tracing.Tracer
	tracer trace.Tracer
}

// Span is a call's span; nil is none.
type Span = trace.Span

// NewTracer returns a tracer for the collector at url, or for the one that the standard
// variables name; nil when there is none. What it does not take is told in log.
func NewTracer(ctx context.Context, url string, log *slog.Logger) (*Tracer, error) {
	s, err := tracing.Read(url, os.Getenv)
	if err != nil {
		return nil, err
	}
	traces, err := tracing.New(ctx, s, tracing.Options{Service: "execution-engine", Log: log})
	if traces == nil {
		return nil, err
	}
	return &Tracer{traces: traces, tracer: traces.Tracer()}, nil
}

// Close sends the spans that are left.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		t.traces.Close(ctx)
	}
}

// Collector is the metrics of a tracer, which may be nil.
func (t *Tracer) Collector() prometheus.Collector {
	if t == nil {
		return (*tracing.Tracer)(nil).Collector()
	}
	return t.traces.Collector()
}

// Start returns a new span for a call of an algorithm, below the caller's if there
// is one, and makes it what the replica is told.
func (t *Tracer) Start(ctx context.Context, c *protocol.Call, vanityURL, version string) Span {
	if t == nil {
		return nil
	}
	carrier := propagation.MapCarrier{"traceparent": c.Trace.Parent, "tracestate": c.Trace.State}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	ctx, span := t.tracer.Start(ctx, "call "+vanityURL, trace.WithTimestamp(c.Start),
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("constellation.algorithm", version), attribute.String("constellation.request_id", c.ID)))
	clear(carrier)
	propagation.TraceContext{}.Inject(ctx, carrier)
	c.Trace.Parent, c.Trace.State = carrier["traceparent"], carrier["tracestate"]
	return span
}

// End ends a call's span.
func (c *Call) End(span Span) {
	if span == nil {
		return
	}
	span.SetAttributes(
		attribute.String("constellation.outcome", c.Outcome.String()), attribute.Int("http.response.status_code", c.Status),
		attribute.String("constellation.replica", c.Replica), attribute.Float64("constellation.wait_seconds", c.Wait.Seconds()))
	if c.Outcome != protocol.OutcomeOK {
		span.SetStatus(codes.Error, c.Outcome.String())
	}
	span.End()
}
