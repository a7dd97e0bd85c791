// Package ratelimit bounds how often somebody may ask, over all servers of a database.
//
// A [Limit] is a quota of requests that comes back evenly over a window (the generic
// cell rate algorithm). Its state is a row in PostgreSQL, by PostgreSQL's clock, and no
// request waits for it in the usual case:
//
//   - A server admits on its own the first 1/32 of a quota in each window of whoever
//     asks. Those who ask no more never reach the database.
//   - From then on it tells the database what was used and claims requests in advance,
//     as many as are made in about two seconds, at most an eighth of the quota. It
//     claims the next before they are used up, for all who ask in one statement, and
//     gives back what was not used for a second.
//   - Once nothing is left it refuses by itself, until the database said that there is
//     some again.
//
// So one server admits exactly the quota, and N servers together at most N/32 of it more
// than that in a window; what was admitted too much is taken off the next. What servers
// have claimed and not used is missing elsewhere for a second. An Exact limit does
// without all of this: a request a claim, and none too much.
//
// While the database does not answer, each server keeps to the quota by itself, so that
// N of them together admit N times as much, and the metric
// constellation_rate_limits_shared says so.
//
// It promises bounded memory: it knows at most 32768 who ask, and forgets who asked
// longest ago; of IPv6 addresses a /64 is one (see [Network]). The database's rows are
// swept once a minute, to at most 100000.
// It knows no routes and no keys: who asks is a text.
package ratelimit
