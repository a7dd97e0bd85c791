// Package queue stores work and its results so that they outlive whoever asked:
// it connects to NATS JetStream, whose nodes are three that replicate, or one in
// the engine's own process. What runs them is in package node; nothing outside
// these two knows NATS.
//
// What it promises: what Publish, Put and Set acknowledge is synced on the
// disks of a majority of nodes. A message is delivered at least once, those of
// a kind and algorithm in the order in which they were stored, one for each
// call of Next and none ahead of it. A message goes when it is done, and the
// pieces that it is stored in, if it is large, go with it. Nothing new is taken
// where a limit or a disk is full, and what is stored can then still be worked
// off. A queue that comes back empty is never taken for the one that calls were
// accepted by: the loss is told with its number (see Marker).
//
// It does not know what a message means, who may see it, how often to retry it
// or when to give it up.
package queue
