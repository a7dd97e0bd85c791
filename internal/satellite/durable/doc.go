// Package durable keeps the queue that routes.json asks for open, and runs what
// comes off it: calls whose callers do not wait, batches, the calls of schedules,
// and the posting of results.
//
// It promises that there is one session at most, that it is the one of the
// settings in force, and that nothing is taken in while an operator drains: by
// any engine, and after a restart too. What cannot be opened is tried again, and
// refused in words until it is.
//
// It does not know how a call is made, who may call, or which engine decides for
// all: the engine hands it what does. How messages are kept and what becomes of
// each is the queue's, and that of async, batch, schedule and callback.
package durable
