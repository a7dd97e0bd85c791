package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Tracer sends a span a call to an OTLP collector.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Span is a call's span; nil is none.
type Span = trace.Span

// closeTimeout is how long the last spans have.
const closeTimeout = 5 * time.Second

// NewTracer returns a tracer for the collector at url; nil when url is "".
func NewTracer(ctx context.Context, url string) (*Tracer, error) {
	if url == "" {
		return nil, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	if err != nil {
		return nil, fmt.Errorf("send spans to %s: %w", url, err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "execution-engine"))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("constellation/engine")}, nil
}

// Close sends the spans that are left.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
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
