package main

import "syscall"

// childAttributes ties a child's life to ours even if we are killed, and keeps the terminal's Ctrl-C from it: we end it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
