// Package batch runs many inputs of one algorithm that were handed over
// together: JSON Lines in, JSON Lines out, each line a call.
//
// It promises:
//
//   - A batch has no limit but the queue's disk. Lines are stored in chunks as
//     they arrive, and a batch is never in memory as a whole; an upload waits
//     while the queue has no room.
//   - What was stored runs, whoever hangs up and whichever engine ends. A chunk's
//     results are one record, made by one write that only the first of two
//     engines makes, before the chunk is taken off the queue: no line is missing
//     or doubled in the output, though a line may run again.
//   - An upload that broke off stays open and goes on where it was when the same
//     lines are sent again; other lines are refused.
//   - A bad line fails alone.
//
// One record a batch says what is stored and what is done. An upload and the
// engines that work change it by compare and set, so that they never disagree:
// a chunk runs only once it stands there, and counts once.
//
// It does not know replicas, slots or keys: a Runner makes the calls, and who may
// see a batch is decided by whoever asks.
package batch
