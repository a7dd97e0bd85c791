// Package health says how a launch does on its cluster: which Deployments are
// ready and, for one that is not, why, as its controller, its pods, their
// events, their registry or the end of their log say it.
//
// Wait looks until all is ready. It reports each kind of problem once and ends
// early with a BrokenError when a problem has lasted so long that it does not
// end by itself. The package writes nothing to the cluster.
package health
