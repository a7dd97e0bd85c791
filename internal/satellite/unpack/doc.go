// Package unpack brings a model's weights out of the customer's registry into a
// folder, from which an algorithm's container reads them: what the init
// container of an algorithm does where the cluster mounts no images.
//
// A folder is whole or it is not there: it is made beside its place, every
// layer's digest is checked, and it is renamed at the end. Several pods may
// share a cache: one unpacks, the others wait for it. One that was interrupted
// is gone on with, layer by layer, and inside a layer that is one file.
//
// The package knows no cluster, no plan and no algorithm.
package unpack
