// Package registry is the client of the operator's container registry.
//
// It logs in as docker does, uploads and mounts blobs, puts and reads manifests,
// lists tags, keeps the claims by which launches share a repository, and knows
// how registry products want their repositories named.
//
// It promises that the login goes to the registry's own scheme, host and port
// and nowhere else, that plain HTTP is spoken only where the operator allows it,
// and that each failure is one sentence with what the registry itself said.
// It knows no folder, no configuration file and no cluster: a caller that retries
// finds what is permanent marked by internal/retry.
package registry
