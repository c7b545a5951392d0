package http2_test

import (
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// BenchmarkClientExchange is a small request and its answer, both sides ours, one at a time.
func BenchmarkClientExchange(b *testing.B) {
	s := start(b, false, http2.Options{}, hello)
	u := connect(b, s.address(), http2.ClientOptions{})
	r := request("GET", "/api/health?full=1", message.None, 0, "User-Agent", "bench", "Accept", "*/*")
	own := []byte("X-Forwarded-For: 127.0.0.1\r\nX-Request-ID: 0123456789abcdef0123456789abcdef\r\n")
	var resp message.Response
	b.ReportAllocs()
	for b.Loop() {
		s := u.open()
		s.WriteHead(r, r.Path, own)
		s.Finish(nil)
		_ = s.Await(time.Now(), patience)
		if err := s.ReadResponse(&resp, message.GET, false); err != nil {
			b.Fatal(err)
		}
		for !s.Body().Complete() {
			if _, err := s.Body().Next(); err != nil {
				break
			}
		}
		s.Release(false)
	}
}
