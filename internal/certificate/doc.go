// Package certificate has a server's certificate and keeps it current.
//
// A [Pair] promises that a new pair of files is in force a moment after it is
// there, for connections that begin then; that a pair which is broken, or not of
// each other, leaves the one in force; and that each problem is logged once. Files
// of a mounted Secret change together, but are read one after the other: a pair
// that does not fit is read again.
//
// It does not know what is served.
package certificate
