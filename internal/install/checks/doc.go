// Package checks finds out, before anything depends on it, what the customer's
// registry and the name servers will do: whether a push will be taken, whether
// pods will have the login that pulls want, and whether a setting works from this
// machine.
//
// It promises that nothing is changed: an upload that was begun is cancelled.
// It knows no verb and no folder.
package checks
