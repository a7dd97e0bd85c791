// Package notify tells people what happens: by webhook, chat or e-mail, as the rules
// say.
//
// Whoever changes something that people want to hear of calls Record in the
// transaction of the change. From there a notice goes through three hands, each of
// which may be of another server: the router matches new notices with the rules, once
// over all servers; when a rule's window is over and its hours are not quiet, what
// waits becomes one message and one delivery a destination; a job delivers it, again
// and again until it was taken or three days have passed.
//
// It promises that a notice is lost by no restart, that it waits once for each rule
// that it fits, that a message comes at least once and under the same id, that nothing
// in a message is taken for mark-up, mentions or headers, and that an address is
// checked when it is dialled. It does not know who may make destinations and rules.
package notify
