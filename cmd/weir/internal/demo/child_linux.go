package demo

import "syscall"

// childAttributes ties a child's life to ours even if we are killed, and keeps the terminal's Ctrl-C from it:
// the edge drains first, then its children are asked to end.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
