// Package upstream holds the engine's connections to replicas: it keeps idle
// ones for the next call, and exchanges one request with one replica, either on
// a goroutine or on an event loop.
//
// A call is sent again only if its replica got not one byte of it, which
// NotStarted reports. The package knows the bytes of a request and of an answer
// and neither slots nor callers.
package upstream
