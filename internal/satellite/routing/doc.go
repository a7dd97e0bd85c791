// Package routing finds the algorithm that a call names: by its vanity URL, or
// by owner, name and version.
//
// A Table is never changed once it is published: a reload makes a new one, and
// callers wait for nothing. Pools and metrics outlive it. The package knows
// which key may call what, and not how a call is made.
package routing
