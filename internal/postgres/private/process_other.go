//go:build !linux

package private

import "syscall"

// attributes start a child in its own process group, so that a terminal's
// Ctrl-C reaches it through us alone. Without Linux's parent death signal, a
// server that outlives a killed mothership is ended by the next start.
func (u runAs) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: u.credential}
}
