// Package passthrough passes requests on to replicas of http algorithms as they
// are, and their answers back: any method, path, header and body, as it comes.
//
// It promises that a path stays below its algorithm's; that a byte is passed on
// when it is there, and the next one is read when that has gone, so that a slow
// end holds the other one back and memory stays as it is; that one idle time-out
// bounds every wait of an exchange; and that an answer which breaks off is seen
// to break off.
//
// It does not know keys, routes and slots: who may call, and when, is decided
// before.
package passthrough
