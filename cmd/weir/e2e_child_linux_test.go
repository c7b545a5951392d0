package main

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// forks runs functions on one thread that lives as long as this test binary: the kernel tells a child of its parent's end when the thread that forked it ends (prctl(2), PR_SET_PDEATHSIG).
var forks = sync.OnceValue(func() chan<- func() {
	list := make(chan func())
	go func() { // ends with the binary
		runtime.LockOSThread()
		for f := range list {
			f()
		}
	}()
	return list
})

// begin starts a program that does not outlive this test binary, however that ends. In a process namespace of its own it would not know the parent that it has.
func begin(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Cloneflags == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	started := make(chan error, 1)
	forks() <- func() { started <- cmd.Start() }
	return <-started
}
