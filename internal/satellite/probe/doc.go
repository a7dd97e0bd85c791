// Package probe talks to replicas beside their calls: it asks why one is not
// ready, ends the process of one on which a call is stuck, and asks whether one
// serves again.
//
// It promises that each request ends within its time-out, whatever the replica
// does, and keeps no connection. It does not know pools or calls: who is asked and
// when is its caller's.
package probe
