package http1_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
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

// stopGuard is far beyond what an interruption takes, and far below the bounds that it is to cut short.
const stopGuard = 20 * time.Second

// soon fails the test unless f returns.
func soon(t *testing.T, what string, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(stopGuard):
		t.Fatal(what + " waits all the same")
		return nil
	}
}

// An interruption of an upstream's reader holds whatever bound the reader sets afterwards, none included: whoever relays an answer moves its bound before each wait, and would wait for it once more
// while the request has failed. It ends only when it is lifted.
func TestStopReadingOfAnUpstream(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
	for name, bounds := range map[string][2]time.Duration{ // before and after the interruption
		"bounded": {time.Minute, time.Hour}, "no bound after": {time.Minute, 0}, "no bound before": {0, time.Minute}, "never one": {0, 0}, "the same": {time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			client, s, u, up := dial(t)
			ask(t, client, up, s, u, get, head)
			now := time.Now()
			if err := u.Await(now, bounds[0]); err != nil {
				t.Fatal(err)
			}
			if err := u.StopReading(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := u.Await(now, bounds[1]); err != nil {
					t.Fatal(err)
				}
				err := soon(t, "the body's reader", func() error { _, err := u.Body().Next(); return err })
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("%v", err)
				}
			}
			if err := u.ResumeReading(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(up, "hello"); err != nil {
				t.Fatal(err)
			}
			if err := u.Await(now, time.Minute); err != nil {
				t.Fatal(err)
			}
			if p, err := u.Body().Next(); err != nil || len(p) == 0 {
				t.Errorf("after it was lifted: %q, %v", p, err)
			}
		})
	}
}

// Likewise for who writes a body to an upstream that takes nothing of it: the bound is moved before each write, and whoever has interrupted it waits for its end.
func TestStopWritingOfAnUpstream(t *testing.T) {
	for name, bounds := range map[string][2]time.Duration{"bounded": {time.Minute, time.Hour}, "no bound after": {time.Minute, 0}, "no bound before": {0, time.Minute}, "never one": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			_, _, u, _ := dial(t)
			u.Begin()
			now := time.Now()
			u.AwaitWrite(now, bounds[0])
			if err := u.StopWriting(); err != nil {
				t.Fatal(err)
			}
			u.AwaitWrite(now, bounds[1])
			block := make([]byte, 64<<10)
			err := soon(t, "the writer", func() error {
				for u.Err() == nil { // more than any socket takes
					u.Write(block)
				}
				return u.Err()
			})
			if !errors.Is(err, os.ErrDeadlineExceeded) || u.Reusable() {
				t.Errorf("%v, reusable %t", err, u.Reusable())
			}
		})
	}
}

// A server's side without a bound on its body is interrupted like one with: between two reads the pump asks for the bound that there is not.
func TestStopReadingWithoutABound(t *testing.T) {
	near, client := pair(t)
	s := http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: time.Minute}) // BodyTimeout is none
	if _, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var req message.Request
	if err := s.Wait(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	if err := s.StopReading(); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitBody(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := soon(t, "the body's reader", func() error { _, err := s.Body().Next(); return err }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
