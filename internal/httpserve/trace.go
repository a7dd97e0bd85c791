package httpserve

import (
	"net/http"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/constellation-serving/constellation/internal/tracing"
)

// Trace makes a span of each request but probes and heartbeats, named by the pattern of
// its route, and takes the trace context that it brings. within names the pattern of a
// path that has routes of its own below chi's; "" is none. A nil tracer makes no spans:
// the trace context is taken for the log alone.
func Trace(t *tracing.Tracer, within func(path string) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if t == nil || isProbe(r.URL.Path) || isHeartbeat(r) {
				if len(r.Header["Traceparent"]) > 0 {
					r = r.WithContext(tracing.FromHeader(r.Context(), r.Header))
				}
				next.ServeHTTP(w, r)
				return
			}
			ctx, span := t.Start(tracing.FromHeader(r.Context(), r.Header), method(r.Method), tracing.Server)
			if !span.On() { // not sampled; whoever is asked next is told so
				next.ServeHTTP(w, r.WithContext(ctx))
				return
			}
			recorded := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			r = r.WithContext(ctx)
			defer func() {
				pattern := within(r.URL.Path)
				if pattern == "" {
					pattern = route(r)
				}
				status := recorded.Status()
				if status == 0 {
					status = http.StatusOK
				}
				span.Name(method(r.Method) + " " + pattern)
				span.Set("http.request.method", method(r.Method))
				span.Set("http.route", pattern)
				span.Set("constellation.request_id", RequestIDOf(ctx))
				span.SetInt("http.response.status_code", int64(status))
				span.SetInt("http.response.body.size", int64(recorded.BytesWritten()))
				if status >= http.StatusInternalServerError {
					span.Fail("")
				}
				span.End(nil)
			}()
			next.ServeHTTP(recorded, r)
		})
	}
}
