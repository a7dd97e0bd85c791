// Package insight takes what algorithms report of themselves with
// POST /v1/insights: it becomes a line of the access log, and is counted.
//
// It promises that a report is taken from the address of one of the satellite's
// replicas alone, and that it is said to be of a call only where that call is
// certain.
//
// It does not know callers or keys.
package insight
