package porttest_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// TestReserve: a reserved port refuses who connects, lets a listener in as often as one comes, and is nobody else's, reserved or dealt out.
func TestReserve(t *testing.T) {
	address := porttest.Reserve(t)
	for range 3 {
		if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("before anybody listens: %v", err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = accepted.Close() // first, so that its side is what lingers
		_ = conn.Close()
		_ = l.Close()
	}
	others := map[string]bool{address: true}
	for range 1000 {
		a := porttest.Reserve(t)
		if others[a] {
			t.Fatalf("%s twice", a)
		}
		others[a] = true
	}
}
