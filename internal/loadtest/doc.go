// Package loadtest is what callers of a mothership's servers do while tests kill these
// servers: they push images, write, read, have pages open, and report heartbeats. It
// notes what was acknowledged, and at the end looks for all of it.
//
// It knows no servers, how they are run, or how they are killed.
package loadtest
