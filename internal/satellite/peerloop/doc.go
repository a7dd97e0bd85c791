// Package peerloop serves the links to a satellite's other engines on an event
// loop, so that asking another engine for a slot takes no goroutine to wake.
//
// It promises that a link's socket is closed once, by the loop, and that whoever
// stops carrying it waits until the loop has let go of it.
//
// It does not know what links say, which is package peer's, nor calls.
package peerloop
