package http1_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

func TestSplice(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, c := range []struct {
		name, request, head, body string
		moved                     bool
		err                       error
	}{
		{"length", get, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", large, true, nil},
		{"length and more behind it", get, "HTTP/1.1 200 OK\r\nContent-Length: 1048560\r\n\r\n", large, true, nil},
		{"until close for HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", large, true, nil},
		{"truncated", get, "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", large, true, http1.ErrTruncated},
		{"small", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello", false, nil},
		{"just too small", get, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", http1.SpliceMin-1), large[:http1.SpliceMin-1], false, nil},
		{"chunked from the upstream", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "100000\r\n" + large + "\r\n0\r\n\r\n", false, nil},
		{"chunked to the client", get, "HTTP/1.1 200 OK\r\n\r\n", large, false, nil},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", "", false, nil},
	} {
		client, s, u, up := dial(t)
		_, resp := ask(t, client, up, s, u, c.request, c.head+c.body[:min(len(c.body), 100)])
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(client)
			got <- b
		}()
		go func() {
			_, _ = io.WriteString(up, c.body[min(len(c.body), 100):])
			_ = up.CloseWrite()
		}()
		s.WriteHead(resp, nil, false)
		renewed := 0
		moved, err := s.Splice(u.Body(), func(time.Time) { renewed++ })
		if moved != c.moved || err != c.err {
			t.Errorf("%s: moved %t, %v", c.name, moved, err)
		}
		if !moved {
			s.Flush()
			if renewed > 0 || u.Body().Received() != 0 {
				t.Errorf("%s: something was done", c.name)
			}
			_ = s.Conn().Close()
			<-got
			continue
		}
		s.Finish(nil)
		_ = s.Conn().Close()
		_, body, _ := bytes.Cut(<-got, []byte("\r\n\r\n"))
		want := c.body
		if resp.Framing == message.Length {
			want = want[:min(int64(len(want)), resp.ContentLength)]
		}
		if string(body) != want || u.Body().Received() != int64(len(want)) {
			t.Errorf("%s: %d bytes arrived, %d received, want %d", c.name, len(body), u.Body().Received(), len(want))
		}
		if u.Body().Complete() != (c.err == nil) {
			t.Errorf("%s: complete %t", c.name, u.Body().Complete())
		}
		if renewed < len(want)/(256<<10) {
			t.Errorf("%s: deadlines moved %d times", c.name, renewed)
		}
	}
}

// TestSpliceBlames breaks a splice on either side: the source's failure is the body's error, and never looks like a complete body or like the client's doing.
func TestSpliceBlames(t *testing.T) {
	part := strings.Repeat("x", 300<<10)
	for _, c := range []struct {
		name   string
		head   string
		act    func(client, up *net.TCPConn)
		source bool
		err    error
		wait   time.Duration // for the upstream: short only where its silence is the case
	}{
		{"upstream resets, length", "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", func(_, up *net.TCPConn) { _ = up.SetLinger(0); _ = up.Close() }, true, http1.ErrTruncated, time.Minute},
		{"upstream resets, until close", "HTTP/1.0 200 OK\r\n\r\n", func(_, up *net.TCPConn) { _ = up.SetLinger(0); _ = up.Close() }, true, http1.ErrTruncated, time.Minute},
		{"upstream is silent", "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", func(_, _ *net.TCPConn) {}, true, os.ErrDeadlineExceeded, 2 * time.Second},
		{"client resets", "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n", func(client, up *net.TCPConn) {
			_ = client.SetLinger(0)
			_ = client.Close()
			go func() { _, _ = io.Copy(up, strings.NewReader(strings.Repeat(part, 20))) }()
		}, false, nil, time.Minute},
	} {
		client, s, u, up := dial(t)
		_, resp := ask(t, client, up, s, u, "GET / HTTP/1.0\r\n\r\n", c.head)
		s.WriteHead(resp, nil, false)
		go func() {
			_, _ = io.WriteString(up, part)
			_, _ = io.ReadFull(client, make([]byte, len(part))) // most of it has gone through
			c.act(client, up)
		}()
		moved, err := s.Splice(u.Body(), func(now time.Time) {
			s.AwaitWrite(now)
			_ = u.Await(now, c.wait)
		})
		if c.err != nil && !errors.Is(err, c.err) || !moved || err == nil {
			t.Errorf("%s: %t, %v", c.name, moved, err)
		}
		if (s.Err() == nil) != c.source {
			t.Errorf("%s: the client's error is %v", c.name, s.Err())
		}
		if u.Body().Complete() {
			t.Errorf("%s: looks complete", c.name)
		}
	}
}
