// Package secrets keeps the values that were typed at a site for a launch's
// algorithms, in one Secret of the launch's namespace and nowhere else.
//
// It promises that no value is in an error, that of one launch's Secret no other
// launch's is made, and that a mark of values changes when they do and tells
// nothing of them: it is keyed with a salt that lies in the same Secret. What is
// rendered of the Secret is its name alone, so that a deploy, a rollback and a
// prune leave the values as they are, and a removal takes them along.
// It knows no folder, no verb and no rollout.
package secrets
