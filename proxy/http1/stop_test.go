package http1_test

import (
	"net"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// An interruption that comes before the wait has set its deadline is not lost: a drain would wait for the idle timeout else.
func TestStopReadingBeforeWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	options := &http1.ServerOptions{Limits: http1.DefaultLimits(), HeaderTimeout: time.Minute, IdleTimeout: time.Minute}
	c := http1.NewServerConn(accepted, options)
	defer c.Close()
	if err := c.StopReading(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait(time.Now()) }()
	select {
	case err := <-ended:
		if err != http1.ErrIdle {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("waits all the same")
	}
	if err := c.ResumeReading(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("G")); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(time.Now()); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
}
