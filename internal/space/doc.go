// Package space keeps the books of what the registry's storage holds: a row in the
// database for each blob, which repository has it, which manifests name it, and when
// somebody last relied on it. By them it lets go of what nothing needs while pushes
// and pulls go on at any number of servers, holds owners to their quotas, and tells a
// store that is this mothership's from another.
//
// The package knows no roles, no audit log and no HTTP: internal/control asks who may,
// and notes who did.
package space
