// Package transfer moves many blobs: from a mothership into a launch's folder, out
// of an archive into it, and from either into a registry.
//
// It has the queue, largest blobs first; the limiter of how many move
// at a time, which rises while that moves more bytes a second and halves when the
// other side is in trouble; the attempts, each of which is reported; and the
// engines that go on where an earlier attempt, or an earlier run, stopped.
//
// It promises that a blob which is in its place has the bytes that its digest
// names, that what was moved once is not moved again, and that one blob which
// fails stops no other.
// It knows no verb, no setting and no cluster.
package transfer
