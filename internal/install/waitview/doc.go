// Package waitview draws each Deployment of a wait on a line of its own, on a
// terminal. Elsewhere it shows nothing: the lines that report what changes are all.
package waitview
