// Package callback posts the results of durable calls to whom their callers
// named, signed as Standard Webhooks are.
//
// It promises that a result is posted at least once while its receiver answers
// within a day, with waits that grow in between; that one receiver who hangs
// stops no other; and that no connection is made to an address of the
// satellite's own network that the operator did not allow: a name is resolved,
// each of its addresses is checked, and one that passed is connected to, so that
// a name cannot turn into another address in between. Redirects are not
// followed.
//
// It does not know calls: what is posted is fetched by its request's ticket.
package callback
