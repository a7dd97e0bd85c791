// Package identity knows callers that have no key: by a token that an issuer
// signed (JWT), or by a client certificate.
//
// It promises that
//
//   - a token counts only when its signature is by an asymmetric key that the
//     issuer publishes, and its issuer, audience and times are right;
//   - an issuer that is away, slow or answers nonsense changes nothing for [KeysGood]: the
//     keys that were fetched last are kept, over restarts too;
//   - a token of a key that is not known yet has the keys fetched again, at a
//     bounded rate;
//   - a certificate is verified against the authorities that are in force now, not
//     when its connection began;
//   - whom a token or a certificate names is the same [keyring.Identity] every
//     time, and no key's.
//
// It does not know HTTP: a [Refusal] says why somebody is not let in, and its
// caller makes an answer of it.
package identity
