// Package queue reaches the queue of a launch for its operator: by an engine's
// pod, to which the API server forwards. It adds the queue's backup in a file, and
// what is put back of one.
//
// It promises that a backup appears under its name once it is whole and on disk,
// that a file is checked to its end before anything of it is put back, and that a
// part which got no answer is sent again.
// It knows no verb and no folder; what the engines' operator's routes are is told
// by internal/satellite/operate.
package queue
