package http2_test

import (
	"errors"
	"os"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// A tunnel waits for its client as long as it takes, in both directions, until it is told not to; and its client's reset reaches it after our direction has ended.
func TestTunnelWaits(t *testing.T) {
	const bound = 500 * time.Millisecond
	late, reset, blocked := make(chan error, 1), make(chan error, 1), make(chan time.Duration, 1)
	writing := make(chan struct{}, 1)
	s := start(t, false, http2.Options{BodyTimeout: bound, WriteTimeout: bound, ExtendedConnect: true}, func(s *http2.Stream) {
		var req message.Request
		if err := s.ReadRequest(&req); err != nil {
			t.Error(err)
		}
		s.AwaitForever()
		s.WriteHead(&message.Response{Status: 200}, nil, false)
		begin := time.Now()
		writing <- struct{}{}
		s.Write(make([]byte, 70_000)) // more than the client's window
		blocked <- time.Since(begin)
		s.Finish(nil)
		if string(req.Path) == "/reset" {
			_, err := s.Body().Next()
			reset <- err
			return
		}
		woken := make(chan struct{})
		go func() {
			defer close(woken)
			_, err := s.Body().Next()
			late <- err
		}()
		if err := s.AwaitBody(time.Now()); err != nil {
			t.Error(err)
		}
		<-woken
	})
	for i, path := range []string{"/reset", "/late"} {
		r := dial(t, s)
		id := uint32(1)
		r.headers(id, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", path, ":authority", "x")
		<-writing
		<-time.After(2 * bound) // the windows stay shut for longer than any bound
		if err := errors.Join(r.fr.WriteWindowUpdate(0, 100_000), r.fr.WriteWindowUpdate(id, 100_000)); err != nil {
			t.Fatal(err)
		}
		if d := <-blocked; d < 2*bound {
			t.Errorf("%d: the write did not wait: %v", i, d)
		}
		if path == "/late" {
			if err := <-late; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a bounded wait again: %v", err)
			}
			continue
		}
		if err := r.fr.WriteRSTStream(id, xhttp2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
		var gone *http2.GoneError
		if err := <-reset; !errors.As(err, &gone) || !gone.Remote {
			t.Errorf("the client's reset: %v", err)
		}
	}
}
