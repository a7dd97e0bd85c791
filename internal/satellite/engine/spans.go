package engine

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
)

// tracer sends a span a call to an OTLP collector; a nil one sends none.
type tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// newTracer makes one for the collector at url; nil when url is "".
func newTracer(ctx context.Context, url string) (*tracer, error) {
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
	return &tracer{provider: provider, tracer: provider.Tracer("constellation/engine")}, nil
}

// close sends what is left.
func (t *tracer) close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx)
}

// startSpan starts the call's span, below the caller's if there is one, and
// makes it what the replica is told.
func (e *Engine) startSpan(c *call) {
	if e.tracer == nil {
		return
	}
	carrier := propagation.MapCarrier{"traceparent": c.trace.parent, "tracestate": c.trace.state}
	ctx := propagation.TraceContext{}.Extract(e.background, carrier)
	ctx, c.trace.span = e.tracer.tracer.Start(ctx, "call "+c.route.VanityURL, trace.WithTimestamp(c.start),
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("constellation.algorithm", c.route.Algorithm), attribute.String("constellation.request_id", c.id)))
	clear(carrier)
	propagation.TraceContext{}.Inject(ctx, carrier)
	c.trace.parent, c.trace.state = carrier["traceparent"], carrier["tracestate"]
}

func (e *Engine) endSpan(c *call) {
	if c.trace.span == nil {
		return
	}
	c.trace.span.SetAttributes(
		attribute.String("constellation.outcome", c.outcome.String()), attribute.Int("http.response.status_code", c.status),
		attribute.String("constellation.replica", c.replica), attribute.Float64("constellation.wait_seconds", c.wait.Seconds()))
	if c.outcome != outcomeOK {
		c.trace.span.SetStatus(codes.Error, c.outcome.String())
	}
	c.trace.span.End()
}
