// Package claim notes in the customer's registry which images a launch uses, and
// finds out which of them nobody else does.
//
// It promises that a claim is there before a manifest that it names is pushed, that
// no image is deleted which another launch uses or may use, and that what is not
// known for certain is why nothing is deleted, and no error.
// It knows no verb, no folder and no cluster.
package claim
