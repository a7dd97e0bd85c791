// Package signon signs people in by providers of OpenID Connect: it sends a
// browser there, takes what it comes back with, and asks later whether the
// person still is who may come in.
//
// It promises that
//
//   - an identity is one that the provider signed, with an asymmetric key that it
//     publishes, for this mothership, now, and for the browser that asked (state,
//     nonce and PKCE);
//   - a provider is asked at the hosts that it named itself, never where clouds
//     keep their metadata, and never where it redirects to on another host;
//   - one that is away, slow or answers nonsense stops nothing: it is asked again;
//   - a refusal that is about the person is of KindForbidden or
//     KindUnauthenticated, and everything that may be over soon of KindUnavailable.
//
// It does not know accounts, sessions or browsers.
package signon
