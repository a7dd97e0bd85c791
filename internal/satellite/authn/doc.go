// Package authn says who calls: the key of a request, or the identity that its
// token or client certificate names, counted against its rate, and whether the
// satellite's own key comes from one of its own pods.
//
// It promises that the own key, which stands in the environment of every
// algorithm, works from nowhere else, unless routes.json lets it; and that a pod
// which calls before the cluster has told of it is waited for, a moment long and
// by few.
//
// It does not know calls: which algorithm a key may call is the caller's to ask.
package authn
