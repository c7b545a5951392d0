// Package porttest reserves loopback ports for the tests of several packages: for programs and configurations that must be told their port before they listen, and for
// targets that must be dead. A port that was free a moment ago is not one that is free still; this one nobody else gets until the test ends. Nothing but tests imports
// it (layers_test.go holds that).
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// Test is what a testing.T and a rapid.T have in common.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Reserve is an address on 127.0.0.1 that is the test's alone until it ends: whoever connects is refused, and who binds it with SO_REUSEADDR, as net.Listen does and
// servers do, gets it, again and again.
//
// It is held by a socket that is bound and never listens. Binding it without SO_REUSEADDR first makes it exclusive among those who reserve; the option set afterwards
// lets a listener in beside it (Linux refuses the second of two sockets only where one lacks the option or listens). It comes from below the range that the kernel
// deals out to connections and to :0, so that neither they nor a UDP socket of somebody else takes the number meanwhile.
func Reserve(t Test) (address string) {
	t.Helper()
	for range 200 {
		port := 10000 + rand.IntN(20000)
		fd, ok := hold(port)
		if !ok {
			continue
		}
		address = fmt.Sprintf("127.0.0.1:%d", port)
		udp, err := net.ListenPacket("udp", address)
		if err == nil {
			_ = udp.Close()
			t.Cleanup(func() { _ = syscall.Close(fd) })
			return address
		}
		_ = syscall.Close(fd)
	}
	t.Fatalf("no free port")
	return ""
}

// hold gives the socket that keeps a port.
func hold(port int) (fd int, ok bool) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, false
	}
	if syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) == nil &&
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) == nil {
		return fd, true
	}
	_ = syscall.Close(fd)
	return 0, false
}
