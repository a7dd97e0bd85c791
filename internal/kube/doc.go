// Package kube has no code of its own: the packages below it put a launch on a
// Kubernetes cluster, with rights in one namespace only.
//
//   - render makes the objects of a launch from its plan and the operator's
//     settings. It is pure.
//   - egress reads what algorithms may reach, and looks names up.
//   - kubeconfig reads kubeconfigs as kubectl does.
//   - cluster is the client: discovery, retries, logs.
//   - apply writes objects server-side, compares, prunes, and keeps the
//     inventory and the history.
//   - health waits for pods, and finds out why they are not ready.
//   - preflight looks, before a deploy, for everything that would stop it.
//   - room counts what pods ask for, and what nodes and quotas have for them.
//   - rollout wires the others: it stages a version, cuts over to it, and prunes.
//
// launchtest and kubetest are for tests.
package kube
