// Package operate is how an operator looks after a satellite's queue: the routes
// under /v1/queue that an engine answers beside its metrics, and the client that
// algo-install asks them with.
//
// It promises that nobody is answered who has not proved to know the launch's
// token, which itself is never sent, and that what comes from either side is
// held to its bounds. A backup is a file that says itself whether it is whole;
// restoring one twice, or going on with one that was cut off, doubles nothing.
//
// It does not know how calls are kept or run: an engine hands it what does.
package operate
