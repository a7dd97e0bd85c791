// Package tlsserve has the engine's listeners, and what its TLS asks of callers.
//
// It does not know calls, nor who may make them.
package tlsserve
