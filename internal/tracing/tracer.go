package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names who makes the spans.
const scope = "constellation"

// Bounds of a span.
const (
	maxAttributes = 32
	maxValue      = 1024 // bytes of a text
)

// Options say of what spans are.
type Options struct {
	Service, Version, Instance string
	Log                        *slog.Logger // nil is none
}

// Tracer makes spans that have no parent here. A nil Tracer makes none.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	queue    *queue
}

// New returns a tracer that sends spans to the collector of s; nil when there is none.
// Nothing is asked of the collector yet. Close ends it.
func New(ctx context.Context, s Settings, o Options) (*Tracer, error) {
	if !s.On() {
		return nil, nil
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.url.String()), otlptracehttp.WithHeaders(s.headers), otlptracehttp.WithHTTPClient(s.client()),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 4 * time.Second, MaxElapsedTime: sendTimeout}))
	if err != nil {
		return nil, fmt.Errorf("send spans to %s: %w", s.url.Host, err)
	}
	if s.service != "" {
		o.Service = s.service
	}
	attributes := []attribute.KeyValue{attribute.String("service.name", o.Service)}
	if o.Version != "" {
		attributes = append(attributes, attribute.String("service.version", o.Version))
	}
	if o.Instance != "" {
		attributes = append(attributes, attribute.String("service.instance.id", o.Instance))
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeCountLimit, limits.AttributeValueLengthLimit, limits.EventCountLimit, limits.LinkCountLimit = maxAttributes, maxValue, 8, 8
	q := newQueue(ctx, exporter, s.url.Scheme+"://"+s.url.Host, o.Log)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(q), sdktrace.WithSampler(s.sampler), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithResource(resource.NewSchemaless(attributes...)))
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), queue: q}, nil
}

// Close sends the spans that are left, within a few seconds.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what it could not send is counted
}

// Start returns a new span, below the trace context in ctx if there is one, and its
// context.
func (t *Tracer) Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Tracer is OpenTelemetry's own, for spans that are more than [Span] can say; nil of a
// nil one.
func (t *Tracer) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}
