//go:build !linux

package stack

import "syscall"

// childAttributes puts a child in its own process group, so that Ctrl-C
// reaches us alone and we stop things in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
