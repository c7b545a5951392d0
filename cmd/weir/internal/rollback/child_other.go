//go:build !linux

package main

import "syscall"

// childAttributes keeps the terminal's Ctrl-C from a child.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
