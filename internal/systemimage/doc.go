// Package systemimage makes an image of this very program: what a satellite runs,
// and what the mothership itself runs in a cluster.
//
// The same program and certificate authorities give the same bytes, wherever it is
// made. It is of this machine's platform alone, since the program is.
//
// It does not know where an image goes: registry keeps it in the mothership's
// storage, and `mothership image push` brings it to another registry.
package systemimage
