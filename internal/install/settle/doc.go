// Package settle decides, by the cluster, what the operator left open: where the
// queue stores, how pods get weights, when their secrets changed. It changes
// nothing.
package settle
