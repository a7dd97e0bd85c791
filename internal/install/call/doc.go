// Package call calls the algorithms of a satellite, as their callers do: once, or
// for each line of a file.
//
// It promises that a batch which was interrupted goes on with the same command,
// with no line lost and none written twice, and that a failure has the exit code
// of what the satellite answered.
// It knows no verb and no cluster: of a launch's folder it has a note there of the
// batch on its way.
package call
