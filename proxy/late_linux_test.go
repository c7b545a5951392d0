package proxy_test

import (
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAnswerThatCameInTime: a machine that stands still for longer than the response timeout, while the answer comes, is no reason for a 504.
func TestAnswerThatCameInTime(t *testing.T) {
	answer, delivered := make(chan bool), make(chan bool)
	up := newPeer(t, func(w *wire) {
		w.head()
		<-answer
		w.send(ok)
		raw, err := w.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return
		}
		for under := 1; under > 0; runtime.Gosched() { // until it stands at the edge's socket
			_ = raw.Control(func(fd uintptr) { under, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		}
		close(delivered)
		_, _ = w.rest()
	})
	still, goOn := make(chan bool), make(chan bool)
	var asked atomic.Bool
	var readings atomic.Int32
	o := defaults(up.address)
	o.ahead = new(atomic.Int64)
	o.clock = func(int64) {
		if asked.Load() && readings.Add(1) == 3 { // the third is certainly in the middle of the wait
			close(still)
			<-goOn
		}
	}
	e := newEdge(t, o)
	client := e.say(get)
	expect(t, "request", up.heads)
	asked.Store(true)
	expect(t, "a look at the clock", still)
	close(answer)
	expect(t, "the answer at the socket", delivered)
	o.ahead.Store(int64(time.Hour))
	close(goOn)
	if head := client.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Errorf("answered %q", head)
	}
}
