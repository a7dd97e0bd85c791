// Package support writes what somebody far away needs to find a fault into one file.
//
// It promises that no secret that it was told of, and nothing that looks like a token,
// key or password, is in the file, whatever part it stands in; that the file is
// bounded; that a part which cannot be had is noted in it and takes no other along; and
// that the file is there whole or not at all. It does not know what the parts are.
package support
