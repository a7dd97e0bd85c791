// Package needs finds what a launch cannot be brought up without and was not given:
// a mothership, a key, settings.
//
// It promises that all of it is asked for, or named in one error, before anything is
// done. It knows no verb, network or cluster.
package needs
