// Package pool hands out an algorithm's slots.
//
// A slot is the right to have one call on one replica. A [Pool] promises that
//
//   - no replica ever has more calls than its concurrency, over all engines of
//     the satellite: one engine, the slot owner, hands out an algorithm's slots,
//     and the others ask it ([Peer]);
//   - a free slot goes to the replica with the fewest calls, and a replica that
//     joins others starts slowly;
//   - calls that find no slot wait in one queue for the whole satellite: first
//     come first served among the calls of one API key, by turns between keys
//     (start-time fair queueing with equal weights);
//   - synchronous calls go before durable ones, which nobody waits for and which
//     get a share all the same (below);
//   - a call that comes back from a replica that refused its connection waits at
//     the front, and is never refused for the queue's length;
//   - a replica that refused a connection is ejected for a moment, and one on
//     which a call timed out and cannot be canceled is quarantined until its
//     process has been replaced ([Options].Restart, [Pool.Readmit]).
//
// # Who owns the slots
//
// A pool whose owner is nil owns its slots. [Pool.SetOwner] moves them. The new
// owner first hears of the slots that this engine's calls hold ([Peer].Claim),
// then of the calls that wait here, in their order ([Peer].Acquire). Calls that
// other engines had waiting here get [ErrMoved], and their engines ask the new
// owner themselves. While two engines disagree on who the owner is, a call is
// moved to and fro, at growing intervals, until they agree.
//
// What another engine borrowed is free again once it releases it, or is gone
// ([Pool.OnPeerGone]). A call is claimed at an owner once, and owners that were
// replaced hear of releases too: so the counts are right when one is owner again,
// as after a link between two engines broke that a third did not see break.
//
// # Synchronous and durable calls
//
// Both have the same slots, and nothing is taken from a call that runs. Durable
// calls ([ClassDurable]) wait in a line of their own, first come first served,
// and neither count against [Limits].QueueLimit nor are evicted. They wait though
// there is no replica, unless they come back from one that refused them: then
// they are for their queue to try again. Let S be the slots of the usable
// replicas, D how many of them durable calls hold, and share the part
// [Limits].SharePercent of S. When a slot is free and a durable call waits, the
// durable call gets it
//
//   - when no synchronous call waits, and more slots are free than are kept for
//     synchronous calls: as many as ran or waited at once at most in the last 10
//     seconds, less those that run now; or
//   - when D is less than share, rounded down; or
//   - when D is less than share, rounded up, and it is the durable calls' turn:
//     each slot that a synchronous call got while a durable one waited counts
//     SharePercent, each that a durable one got takes 100 - SharePercent, and at
//     100, this slot included, it is.
//
// Else the slot goes to a synchronous call, or stays free. With two slots or more,
// durable calls get at most S-1 before synchronous ones that wait. So with one
// slot and 20 percent each fifth call is a durable one while both wait, with five
// one slot is theirs while they use it, and with many the latency of
// synchronous calls is that of a satellite which has no durable ones, but for the
// share, once synchronous calls come.
//
// # What it does not know
//
// Sockets, HTTP, and how engines reach each other. A replica is an address here;
// what is connected to it hangs on it as [Connections]. A pool has one lock; it
// calls [Caller], [Peer] and [Connections] with the lock held, so these neither
// block nor call the pool.
package pool
