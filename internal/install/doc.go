// Package install is algo-install: it downloads a launch's bundle from its
// mothership, keeps the operator's configuration, and deploys the launch to a
// Kubernetes cluster through that cluster's private registry.
//
// It has the verbs, one a file, each of which reads from top to bottom as its help
// text describes it, and the session that a verb works in. What a verb is made of
// lies beneath and knows no verb: store is the launch's folder, settings its
// configuration, mothership and registry the two servers, transfer the moving of
// blobs, claim what a launch uses of the registry, checks what that will do, target
// and internal/kube the cluster, reach where the launch is called, call its callers'
// side, and queue its operator's side of stored calls.
package install
