// Package connection is how algo-install speaks HTTP to motherships and
// registries.
//
// It promises that a credential goes only to the scheme, host and port that it
// is for, that nothing follows a redirect from TLS to plain HTTP, and that a body
// on which nothing moves ends with [ErrStalled] instead of never.
// It knows no protocol above HTTP and no credential of its own.
package connection
