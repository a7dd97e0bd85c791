// Package ptytest gives tests a real terminal, on which they see what a user sees
// and type what a user types.
package ptytest
