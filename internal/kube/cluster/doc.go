// Package cluster is the client of one namespace of one Kubernetes cluster.
//
// It finds out which API versions the server serves, reads objects, and reads logs
// on behind a connection that broke. Every request is retried by one policy while
// the API server does not answer; an error that wraps ErrUnreachable is no refusal.
//
// It knows nothing of launches but the names that their objects have.
package cluster
