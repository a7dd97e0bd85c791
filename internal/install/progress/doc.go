// Package progress reports to the operator what goes on, on standard error.
//
// A [Reporter] writes headings and lines for people, or an [Event] a line for
// programs; a [Transfer] shows how much of many things is moved, and how fast: as
// a bar on a terminal, else as a line now and then.
//
// It promises that no line tears a bar apart and that reporting never stops what
// is reported. It knows nothing of what is moved.
package progress
