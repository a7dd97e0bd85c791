// Package foreign reads images of registries elsewhere: manifests, blobs from any
// byte on, what belongs to an image, tags.
//
// It promises that a login goes to the registry that it is for, by scheme, host and
// port, and to the token server that this registry names, and never after a
// redirect; that no address is connected to that was not allowed; that every answer
// is bounded; and that content has the digest that it was asked for by. Its errors
// are sentences for users, marked by internal/retry where another attempt may help or
// cannot.
//
// It knows nothing of where the content goes.
package foreign
