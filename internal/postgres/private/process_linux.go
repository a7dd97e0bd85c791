package private

import "syscall"

// attributes start a child in its own process group, so that a terminal's
// Ctrl-C reaches it through us alone, and end it when the thread that started
// it ends, so that kill -9 of the mothership leaves no server behind.
func (u runAs) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: u.credential, Pdeathsig: syscall.SIGQUIT}
}
