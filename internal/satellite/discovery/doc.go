// Package discovery finds the pods behind the cluster's services.
//
// A [Watcher] lists and watches the endpoints of every service in one namespace,
// through the newest API that the server has: EndpointSlices
// (discovery.k8s.io/v1, then v1beta1), else Endpoints. It promises that
//
//   - a change is known within the two seconds after which a broken watch is
//     begun anew, however often watches break;
//   - while the API server is away, what was known last stays known;
//   - a dual-stack pod is one address, and a terminating one is none.
//
// It does not know what serves at the addresses: neither algorithms nor their
// slots. An engine whose routes list their endpoints needs no Watcher.
package discovery
