package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The headers of a trace context, as W3C has them.
const (
	parentHeader = "Traceparent"
	stateHeader  = "Tracestate"
)

// Bounds of what others send: a later version of traceparent may be longer than 55.
const (
	maxParent = 128
	maxState  = 512
)

// FromHeader returns ctx with the trace context that a request brought, if it brought
// one. A state that cannot be read is left out.
func FromHeader(ctx context.Context, h http.Header) context.Context {
	parents := h[parentHeader]
	if len(parents) != 1 || len(parents[0]) > maxParent {
		return ctx
	}
	state := h.Get(stateHeader)
	if len(h[stateHeader]) > 1 || len(state) > maxState {
		state = ""
	}
	return fromText(ctx, parents[0], state)
}

// FromText is FromHeader of a traceparent that was kept.
func FromText(ctx context.Context, parent string) context.Context {
	if parent == "" || len(parent) > maxParent {
		return ctx
	}
	return fromText(ctx, parent, "")
}

func fromText(ctx context.Context, parent, state string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": parent, "tracestate": state})
}

// Text returns the traceparent of ctx, "" when there is none.
func Text(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// ID returns the trace's id in ctx, "" when there is none.
func ID(ctx context.Context) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.HasTraceID() {
		return ""
	}
	return c.TraceID().String()
}

// Transport makes a span of each request that is made below one, by method and host. The
// request goes out as it is: whom we ask is somebody else, and no part of the trace.
func Transport(next http.RoundTripper) http.RoundTripper { return &transport{next: next} }

type transport struct{ next http.RoundTripper }

// RoundTrip is part of http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := Start(r.Context(), r.Method, Client)
	if !span.On() {
		return t.next.RoundTrip(r)
	}
	span.Set("http.request.method", r.Method)
	span.Set("server.address", r.URL.Hostname())
	span.Set("server.port", r.URL.Port())
	span.Set("url.scheme", r.URL.Scheme)
	response, err := t.next.RoundTrip(r.WithContext(ctx))
	if err == nil {
		span.SetInt("http.response.status_code", int64(response.StatusCode))
		if response.StatusCode >= http.StatusBadRequest {
			span.Fail("")
		}
	}
	span.End(err)
	return response, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
