package redistest_test

import (
	"net"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/redistest"
)

// TestKill: nobody answers on the address of a server that was killed, until it is started again.
func TestKill(t *testing.T) {
	s := redistest.New(t)
	answers := func() bool {
		c, err := net.DialTimeout("tcp", s.Address, time.Minute)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	s.Kill()
	if answers() {
		t.Error("somebody answers")
	}
	s.Start()
	if !answers() {
		t.Error("nobody answers")
	}
}
