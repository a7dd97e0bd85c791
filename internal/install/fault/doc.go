// Package fault is how algo-install fails: an [Error] has one clear sentence, its
// cause, what to do next, and the exit code that scripts rely on.
//
// It promises that the code of an error is the one of the outermost [Error] in
// its chain, and that [Damaged] bytes are told apart from every other failure.
// It knows no verb, no folder and no network.
package fault
