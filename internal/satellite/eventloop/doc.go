// Package eventloop serves sockets without a goroutine for each: one epoll loop
// a core calls the handler of a socket when it can be read or written. It is
// the only package that makes raw system calls.
//
// Everything that a Loop has is touched by its own goroutine alone; others post
// tasks to it. A panic in a task or a handler does not end the loop, but turns
// the whole group off: its sockets are served on, and its owner sends new work
// elsewhere.
//
// It knows neither HTTP nor algorithms. On systems other than Linux, Supported
// is false and New fails.
package eventloop
