// Package tracing sends spans to an OpenTelemetry collector, by OTLP over HTTP.
//
// It promises that
//
//   - without a collector there is no goroutine and no allocation: a nil [Tracer]
//     makes no spans, and [Start] makes one only below another;
//   - whoever ends a span never waits: spans wait in a queue of bounded length, and
//     what finds no place is counted and dropped. A collector that is away, or takes
//     too long, is told of once in the log;
//   - a trace context of others is taken when it is one, and is short; baggage never;
//   - no value of a statement, header, query or message of an error is in a span:
//     a failure is told by its sort.
//
// It does not know what is traced.
package tracing
