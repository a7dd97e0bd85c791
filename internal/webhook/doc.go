// Package webhook signs what is posted to others, as Standard Webhooks say it: by
// id, time and body, with a secret that both know.
//
// It promises that a secret is never in an error. It knows no HTTP: who posts sets
// the headers that it names.
package webhook
