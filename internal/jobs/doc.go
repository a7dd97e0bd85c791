// Package jobs runs what is to be done in the background, once over all servers
// of a database: River's jobs in PostgreSQL, on whichever server is free.
//
// A job is inserted in the transaction that wants it done, so it exists exactly
// when that commits. It runs at least once: a server that ends while it runs one,
// or loses the database, leaves it to another, within half a minute. So work is
// written to be repeated, and to end soon after its context. What is due by the
// clock is inserted by one server, which the others have elected.
//
// The package knows no use case: who does what is registered by internal/serve.
package jobs
