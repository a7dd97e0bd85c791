// Package protocol knows what bytes go to a replica and how its answer becomes
// the caller's reply: for langserver, for http algorithms, with the failures
// that a caller can be told of.
//
// It promises that a reply is never larger than the limits of the
// algorithm-call API, that results are passed through without being decoded,
// and that no cause of a failure reaches a caller. It knows no sockets, slots
// or keys.
package protocol
