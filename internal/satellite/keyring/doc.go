// Package keyring knows which API keys are in force.
//
// A [Ring] gets keys from several sides: keys.json, the mothership through
// heartbeats, the satellite's other engines, and the cluster's Secret of what was
// last in force. It promises that
//
//   - the newest version is in force, whatever way and in whatever order keys
//     come, and nothing goes back to an older one;
//   - the satellite's own key is keys.json's alone;
//   - a key is compared by its hash, and its use and its rate outlive changes of
//     the other keys.
//
// Beside keys it has the rate of callers without one: each [Identity] that somebody
// else found out, however many tokens it shows.
//
// A [Keeper] keeps what is in force in a Secret of the namespace, so that a
// revoked key stays revoked when engines start again with the mothership away or
// an older keys.json is deployed.
//
// It does not know HTTP: a [Refusal] says why a key may not call, and its caller
// makes an answer of it. Nor does it know algorithms: which ones a key may call
// is [config.Key]'s.
package keyring
