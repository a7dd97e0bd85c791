// Package auth is how the mothership recognises people and machines: API
// keys, passwords, session tokens, and the sealing of secrets at rest.
package auth

// Sealer encrypts secrets for the database with a key from outside it.
type Sealer struct{}
