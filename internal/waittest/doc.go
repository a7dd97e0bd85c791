// Package waittest lets a test wait for something that may never come: what
// waits in vain ends its own test, with a word of what is missing, and not the
// whole package's after the time that all its tests have.
package waittest
