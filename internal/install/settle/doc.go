// Package settle decides, by the cluster, what the operator left open: where the
// queue stores, how pods get weights, when their secrets changed, which addresses
// the names have that they may reach. It changes nothing.
package settle
