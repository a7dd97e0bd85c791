// Package transport sends requests to a Kubernetes API server until it answers
// them: for whoever puts a launch there, and for its engines.
//
// A result or a refusal with a status below 500 is an answer. All else is none,
// and is retried within a budget that concurrent requests share. When it is
// spent, the error wraps ErrUnreachable, whatever came in place of an answer.
package transport
