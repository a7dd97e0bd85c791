// Package upkeep looks after a satellite's durable calls: what operators, metrics
// and heartbeats see of them, and what operators have done with them: dead letters
// retried or dropped, new calls refused, everything backed up and restored.
//
// It promises that a scrape asks the queue nothing, and that a backup which is
// restored twice, or where most of it is there, adds nothing that has run.
//
// It does not know who asks: package operate answers operators who have proved to
// be some. Nor does it know how calls are taken in or run, which is durable's.
package upkeep
