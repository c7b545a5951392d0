package http2_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
)

// shutting is one end of a pipe that can be shut like a socket.
type shutting struct{ net.Conn }

func (shutting) CloseWrite() error { return nil }

// TestLingerIsNotCutShort: the last handler of a connection that broke the protocol while it was drained ends behind its GOAWAY, and takes nothing from the time that the client has to read that.
func TestLingerIsNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		arrived, release, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		c := http2.New(shutting{server}, &http2.Options{DrainGrace: time.Second}, func(*http2.Stream) {
			close(arrived)
			<-release
			close(returned)
		})
		ended := make(chan error, 1)
		go func() { ended <- c.Serve(nil) }()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		say := func(b []byte) {
			if _, err := client.Write(b); err != nil {
				t.Error(err)
			}
		}
		say([]byte(http2.Preface))
		say([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0})                                            // SETTINGS
		say([]byte{0, 0, 0, 4, 1, 0, 0, 0, 0})                                            // and the acknowledgement of theirs
		say(append([]byte{0, 0, 6, 1, 5, 0, 0, 0, 1}, 0x82, 0x84, 0x86, 0x41, 0x01, 'a')) // GET http://a/
		<-arrived
		c.Drain()
		time.Sleep(3 * time.Second)            // of the bubble's clock: the last GOAWAY has been said
		say([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0}) // DATA on no stream
		synctest.Wait()
		begin := time.Now()
		close(release)
		<-returned
		if err := <-ended; err == nil {
			t.Error("ended well")
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("closed after %v", took)
		}
		_ = client.Close()
	})
}

// lazy is one end of a pipe whose reader learns late that its time is over.
type lazy struct {
	net.Conn
	release chan struct{}
}

func (l lazy) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		<-l.release
	}
	return n, err
}

// TestStoppedOnce: a connection that is ended for being slow or idle is counted once, however long its reader takes to notice.
func TestStoppedOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		o       http2.Options
		say     []string
		counted func(*http2.Counters) uint64
	}{
		{"slow", http2.Options{HeaderTimeout: time.Second}, nil, func(c *http2.Counters) uint64 { return c.SlowFrames.Load() }},
		{"idle", http2.Options{IdleTimeout: time.Second, HeaderTimeout: time.Second},
			[]string{http2.Preface, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x00\x04\x01\x00\x00\x00\x00"}, func(c *http2.Counters) uint64 { return c.Idle.Load() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				counters, release, ended := new(http2.Counters), make(chan struct{}), make(chan error, 1)
				c.o.Counters = counters
				go func() { ended <- http2.Serve(lazy{server, release}, &c.o, func(*http2.Stream) {}) }()
				go func() { _, _ = io.Copy(io.Discard, client) }()
				for _, s := range c.say {
					if _, err := io.WriteString(client, s); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Minute) // of the bubble's clock
				close(release)
				<-ended
				if n := c.counted(counters); n != 1 {
					t.Errorf("counted %d times", n)
				}
				_ = client.Close()
			})
		})
	}
}
