// Package autotls has a server's certificate made by an authority that speaks ACME
// (RFC 8555), and made again before it ends.
//
// A [Manager] promises that all servers of one [Store] have one certificate and one
// account at the authority; that whichever of them is asked answers the authority's
// challenge; that one server at a time asks for a certificate; that a
// failure leaves the one in force, and is not tried again sooner than the authority
// bears; and that a server which starts has the certificate
// of before.//
// It does not know what is served, nor where a Store keeps what it is given.
package autotls
