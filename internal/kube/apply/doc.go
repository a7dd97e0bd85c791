// Package apply writes a launch's objects to a namespace and knows what it
// wrote there.
//
// Objects are applied server-side, what others need first. Before that each is
// compared: one that carries the wanted hash and every wanted value costs one
// read, any other is tried on the server without effect, so that a refusal of
// one object stops all before anything is written. What somebody else changed
// since is drift, and is named. The inventory, a ConfigMap, lists every object
// of the launch, so that a later deploy prunes from any machine; the history
// keeps the objects of versions that were ready, without Secrets.
//
// Only objects that carry the launch's label are deleted, and never a namespace.
// The package knows no order of a rollout, no health and no preflight.
package apply
