// Package telemetry shows what an engine does: metrics, the access log and spans.
//
// It promises that
//
//   - a call costs no system call and hardly an allocation: series are looked up
//     once an algorithm, lines of the access log are gathered, and gauges are read
//     when they are scraped;
//   - there is one set of series for each algorithm of the satellite, so that a
//     caller cannot make new ones;
//   - of calls that went well the access log may have a sample, of all others each
//     one.
//
// A nil [AccessLog] or [Tracer] records nothing. The package does not know how
// calls run: it gets a [Call] when one has ended, and asks a [Source] for the
// rest.
package telemetry
