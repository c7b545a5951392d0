package http1_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

func TestParseAllocatesNothing(t *testing.T) {
	fields := strings.Repeat("X-Some-Field: some value of some length\r\n", 17)
	request := []byte("GET /some/path?with=query HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\nContent-Length: 10\r\n" + fields + "\r\n")
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\nContent-Length: 10\r\n" + fields + "\r\n")
	var req message.Request
	var resp message.Response
	lim := http1.DefaultLimits()
	if n := testing.AllocsPerRun(100, func() {
		req.Reset()
		if err := http1.ParseRequest(&req, request, lim); err != nil {
			t.Fatal(err)
		}
	}); n != 0 || req.Header.Len() != 20 {
		t.Errorf("request: %v allocations, %d fields", n, req.Header.Len())
	}
	if n := testing.AllocsPerRun(100, func() {
		resp.Reset()
		if err := http1.ParseResponse(&resp, response, message.GET, 100); err != nil {
			t.Fatal(err)
		}
	}); n != 0 || resp.Header.Len() != 20 {
		t.Errorf("response: %v allocations, %d fields", n, resp.Header.Len())
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	c := http1.NewServerConn(&wire{pieces: cut("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("5;x=y\r\nhello\r\n", 2000))}, &http1.ServerOptions{Limits: http1.DefaultLimits()})
	if err := c.ReadRequest(new(message.Request)); err != nil {
		t.Fatal(err)
	}
	b := c.Body()
	if n := testing.AllocsPerRun(1500, func() {
		p, err := b.Next()
		if len(p) == 0 || !strings.HasSuffix("hello", string(p)) && !strings.HasPrefix("hello", string(p)) || err != nil {
			t.Fatalf("%q, %v", p, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestExchangeAllocatesNothing carries requests over TCP through a ServerConn that relays them to a ClientConn, both kept alive: nothing is allocated for one.
func TestExchangeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	near, far := pair(t)
	upNear, upFar := pair(t)
	go respond(upFar)
	s := http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: time.Minute, HeaderTimeout: time.Minute, BodyTimeout: time.Minute, WriteTimeout: time.Minute})
	up := http1.NewClientConn(upNear)
	var req message.Request
	var resp message.Response
	request := []byte("POST /path?query HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\nContent-Length: 5\r\n\r\nhello")
	own := []byte("X-Real-IP: 127.0.0.1\r\n")
	answer := make([]byte, 4096)
	once := func() {
		now := time.Now()
		if _, err := far.Write(request); err != nil {
			t.Fatal(err)
		}
		if s.Wait(now) != nil || s.ReadRequest(&req) != nil {
			t.Fatal("no request")
		}
		up.Begin()
		up.AwaitWrite(now, time.Minute)
		up.WriteHead(&req, req.Path, own)
		body, ok := s.Body().AtHand()
		if !ok {
			t.Fatal("no body")
		}
		up.Write(body)
		up.Finish(nil)
		if up.Await(now, time.Minute) != nil || up.ReadResponse(&resp, req.Method, false) != nil {
			t.Fatal("no response")
		}
		s.AwaitWrite(now)
		s.WriteHead(&resp, nil, false)
		p, err := up.Body().Next()
		if err != nil {
			t.Fatal(err)
		}
		s.Write(p)
		s.Finish(nil)
		if !up.Reusable() || !s.EndExchange() {
			t.Fatal("a connection ended")
		}
		up.Idle()
		if s.HoldsBuffers() || up.HoldsBuffers() {
			t.Fatal("an idle connection holds a buffer")
		}
		if _, err := io.ReadAtLeast(far, answer, 50); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(500, once); n != 0 {
		t.Errorf("%v allocations an exchange", n)
	}
}

// respond answers every request that arrives in one piece, allocating nothing: AllocsPerRun counts all goroutines.
func respond(c net.Conn) {
	p := make([]byte, 4096)
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	for {
		if _, err := c.Read(p); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
