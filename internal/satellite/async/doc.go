// Package async makes calls that outlive their caller: a call is stored before
// its caller is answered, runs when a replica has room, and its result is kept
// until it is fetched.
//
// It promises at least one execution of a call that was accepted, and exactly
// one stored result a request id: whoever ends a call, a worker or the caller
// who cancels it, does so by one write that only the first of them makes.
//
// It does not know replicas, slots or HTTP to algorithms: a [Runner] makes the
// call and returns what a synchronous caller would have been answered. Nor does
// it know how messages are kept; that is the queue's.
package async
