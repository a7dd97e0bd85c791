// Package serve assembles the server: its settings, its database, the
// registry's storage, the REST API and the panel, and the routes to them.
package serve
