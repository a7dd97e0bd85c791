// Package imagepush brings this program's own image to a registry, with no Docker:
// it is made of the running executable, and uploaded as algo-install uploads a
// launch's images, with the same login, attempts and words.
//
// It does not know what the image is run for.
package imagepush
