// Package support writes what somebody far away needs to understand a launch into
// one file: manifests, events, logs, settings and versions.
//
// It promises that no value of a Secret, no token, key or password that it can know
// is in the file, whatever part it stands in; that the file is bounded; that a part
// which cannot be had is noted in it and takes no other along; and that the file is
// there whole or not at all. It knows no verb, and writes nothing to a cluster.
package support
