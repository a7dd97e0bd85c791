// Package render turns a launch's plan and the operator's settings into the
// Kubernetes objects that run it: the engine, its configuration and its rights,
// a Deployment and a Service for each algorithm, network policies, disruption
// budgets and the Ingress.
//
// It is pure: the same Input gives the same objects, byte for byte, and nothing
// is read from a cluster or from disk. What a server serves comes in as APIs.
// An algorithm's objects are named by its vanity URL and a hash of what its
// pods run, so that a changed algorithm comes up beside the one that serves.
// Every object carries the hash of itself, by which a later deploy knows
// whether it is as it was applied.
//
// The package knows no client, no inventory and no order of a rollout.
package render
