// Package scale lets an algorithm's replicas follow its load.
//
// A [Scaler] sets the replicas of the Deployments of those algorithms that have
// bounds for them. It promises that
//
//   - there are never more replicas than the most, nor fewer than the least;
//   - a load that needs twice the replicas that are ready is followed after the
//     short window, any other after the stable one; what a load no longer needs
//     is kept until it has not needed it for the cool-down, so that a count does
//     not swing;
//   - an algorithm without calls for the idle time, whose least is 0, has none;
//   - the first call that then waits has a replica asked for at once, by
//     whichever engine it waits at ([Scaler.Wake]), and not at the next tick.
//
// What the replicas should be is
//
//	ceil(calls that run or wait / calls at once a replica)
//
// averaged over a window: the stable one, or the short one when that asks for
// twice the ready replicas, or when all through it more calls ran or waited than
// there was room for. A count grows at most to its double, or by [minStep],
// in each short window.
//
// One engine decides, the one that holds the Lease (Options.HoldsLease); the others
// keep what it says ([Load].Scaled), to tell it on and to take over. Two that
// decide at once, while the API server does not say who holds it, do no harm:
// both have the same counts, and each write names the version that it changes.
//
// A count that somebody else set is told, and taken over at the next decision.
// Why replicas do not come is read from the Deployment and its pods
// ([State].Reason).
//
// It does not know calls, pools or engines: a [Source] says what the algorithms
// carry.
package scale
