// Package retry repeats what may succeed at another attempt.
//
// It promises three things to whoever talks to another machine:
//
//   - [Do] is the one loop: it waits between attempts as a [Policy] says, stops
//     at its budget, at an error that is [Permanent] and when the context ends,
//     and heeds what a server asked for with [After].
//   - [TransientStatus] and [PermanentConnection] are the one place that knows
//     which answers and which connection errors another attempt may mend.
//   - [HeaderDelay] is the one reader of Retry-After.
//
// It knows no protocol above HTTP, and nothing of what is retried: what a caller
// may send twice, and what it tells its user, is the caller's own.
package retry
