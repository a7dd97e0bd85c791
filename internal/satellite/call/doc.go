// Package call is the life of one algorithm call in an engine, from its admission
// to its end: its phases, and what becomes of it, of its slot and of its replica
// when a replica refuses, breaks off or times out, and when its caller leaves.
//
// It promises that a call takes no way but
//
//	admitted → queued → granted → sent → answered | timed out | caller gone
//
// and back from granted to queued while its replica has not one byte of it; that
// its slot is released once; and that no method blocks.
//
// It does not know who may call, and does no input or output: an event loop or
// net/http drives it, waits, sends, reads and writes.
package call
