// Package places remembers where a launch was deployed to from its folder, so that
// an installation which stays behind is not forgotten.
//
// It promises that a place is remembered before anything is changed there, and
// that it connects to no cluster by itself. It knows no verb.
package places
