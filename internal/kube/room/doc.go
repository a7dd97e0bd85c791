// Package room counts: what pods ask for and what admission adds to it, which
// nodes take them, what quotas count of them, and which settings of
// stage.resources make them fit where they do not.
//
// It computes what the API server and the scheduler will do, from what was read
// of them, and asks no cluster.
package room
