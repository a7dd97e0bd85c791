// Package preflight looks, before a deploy, for everything that would stop it:
// the server's version, the namespace, rights, objects of others, sizes,
// LimitRanges and quotas, the Ingress, room on the nodes and their platforms.
//
// It goes on after each finding, so that the operator sees all at once, and
// says of each problem what mends it. What the account may not look at is
// unknown, and no problem. It changes nothing.
package preflight
