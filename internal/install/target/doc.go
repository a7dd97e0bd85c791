// Package target reaches the cluster that a launch is configured for, and tells in
// the installer's words what that cluster refuses.
//
// It promises that an API server which does not answer, credentials that it
// refuses and a right that is missing are told apart, each with its exit code.
// It knows no verb and no folder.
package target
