// Package rollout brings a version of a launch onto its cluster, and keeps the
// one before serving until the new one can.
//
// The order of a cutover: everything is tried without effect; the inventory
// names what will be made; what is new is staged beside what serves; the
// engines follow; when all is ready, the routes and keys that the engines read
// change, and each engine acknowledges them; then what the launch no longer has
// is pruned. A failure before that leaves the version before serving, and the
// next run picks up where this one stopped.
//
// Of two rollouts of one launch at once, from two machines, the later one
// supersedes the earlier: each writes its ID into the inventory when it begins,
// and one that finds another's there stops.
//
// The package wires apply and health. It knows no preflight.
package rollout
