// Package support makes a support bundle of a launch: what its cluster has of it, with
// the values of its Secrets taken out of all parts. It knows no verb, and writes
// nothing to a cluster.
package support
