// Package ask asks an operator at a terminal for what a command still needs.
//
// It promises that an answer is one that the question takes, that a secret is not
// shown and the terminal echoes again afterwards, and that Ctrl-C and the end of
// input end the question. It knows no settings.
package ask
