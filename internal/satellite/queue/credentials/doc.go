// Package credentials derives from a launch's secret what the parts of its
// queue know each other by: an authority for TLS, and logins.
//
// What it promises: whoever derives from the same secret arrives at the same
// authority and logins, wherever and whenever; nothing of it is on a disk.
// Certificates are a process's own and are made anew well before they end.
//
// It does not know NATS, nor who connects to whom.
package credentials
