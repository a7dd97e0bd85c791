// Package schedule makes the calls of a satellite's schedules when they are due.
//
// It promises:
//
//   - One engine makes them, the one that decides for all; two that believe so
//     make no call twice, since a call's idempotency key is the schedule and the
//     time that it was due, and what ran is noted by compare and set.
//   - A call that is due goes through the queue like one that a caller made, and
//     its result is kept like that.
//   - What was due while no engine could make it is counted and told once. Then
//     one call stands for all of it, or none, as the schedule says; there is never
//     a call for each.
//   - A schedule whose last call still waits for a replica makes no other: what
//     comes faster than it runs does not pile up. It counts as missed.
//
// A schedule that is new, or whose times were changed, begins when it is first
// seen: nothing before that is missed. A clock that goes back makes no call
// twice; the schedules wait until it is where it was.
//
// It does not know who decides, nor how calls are stored: functions do.
package schedule
