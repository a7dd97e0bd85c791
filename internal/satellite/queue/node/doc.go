// Package node runs one node of the queue in this process: a server of NATS
// JetStream on a folder of its own, alone or as one of three that replicate.
//
// What it promises: what a node acknowledges is synced on its disk. Two nodes
// whose disks are empty never make a majority that has nothing: a node with an
// empty disk starts only beside others that have all that there is, at the
// queue's first start, or once an operator gave the lost disks up. A folder that
// a newer program wrote is refused before anything in it is touched. A disk that
// is damaged, or lacks what both others have, is filled anew from them; what no node
// has whole is erased, message by message, and counted. Nobody connects who does not
// have the launch's secret. A node that ends hands leadership over and lets engines
// move.
//
// It does not know which streams there are, what is stored in them, or whether
// the queue lost something: that is the engines' (see package queue).
package node
