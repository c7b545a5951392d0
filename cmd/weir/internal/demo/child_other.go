//go:build !linux

package demo

import "syscall"

// childAttributes keeps the terminal's Ctrl-C from a child. There is no parent-death signal here: children
// outlive a demo that was killed.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
