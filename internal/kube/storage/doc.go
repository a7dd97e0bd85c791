// Package storage finds out of a StorageClass whether claims of it get volumes,
// from what the cluster shows: claims that wait in vain, what their provisioner
// said, and nodes that its volumes would not reach.
//
// It promises to change nothing, and to find no trouble where it may not look.
//
// It does not know what claims are made for.
package storage
