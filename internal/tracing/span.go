package tracing

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The kinds of spans that are not merely internal.
const (
	Internal = trace.SpanKindInternal
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Consumer = trace.SpanKindConsumer
)

// Span is a span, or none: the zero value takes everything and keeps nothing.
type Span struct{ span trace.Span }

// Start returns a span below the one in ctx, and its context; none when nobody takes
// that one.
func Start(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Of returns the span of ctx.
func Of(ctx context.Context) Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return Span{span}
	}
	return Span{}
}

// In returns ctx with the span as the parent of what is begun in it.
func (s Span) In(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// On reports whether somebody takes the span.
func (s Span) On() bool { return s.span != nil && s.span.IsRecording() }

// Name gives the span another name.
func (s Span) Name(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Set notes a text; "" is not noted.
func (s Span) Set(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// SetInt notes a number.
func (s Span) SetInt(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Fail notes that it failed, with the sort of failure; "" is only that.
func (s Span) Fail(sort string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, "")
		s.Set("error.type", sort)
	}
}

// End ends the span. An error is noted by its sort: its message may hold what nobody
// else is to read, such as an address with a signature.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.Fail(sortOf(err))
	}
	s.span.End()
}

func sortOf(err error) string {
	var e *constellation.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline_exceeded"
	case errors.As(err, &e):
		return string(e.Kind)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}
