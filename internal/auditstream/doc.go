// Package auditstream sends the audit log elsewhere: to a webhook, signed, or to a
// syslog server.
//
// It promises that what a receiver did not take is an error, that a webhook's
// receiver can tell what comes again by its webhook-id, and that nothing is sent to
// where clouds keep their metadata. Syslog does not acknowledge: what is on its way
// when a connection breaks may be lost, which the numbers of the records show. The
// package knows no database: who keeps what was sent calls it.
package auditstream
