// Package terminal makes text safe to show.
//
// It promises that nothing that goes through a [Cleaner] is obeyed by a terminal:
// names and messages of others may hold escape sequences, which are written as
// JSON writes them. It knows nothing of what is written.
package terminal
