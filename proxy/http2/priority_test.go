package http2_test

import (
	"bytes"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// TestPriorityChangesHands: a stream that is overtaken, by an update, after it was woken and before it had its turn wakes the one that overtook it: nobody sleeps while the connection has room.
func TestPriorityChangesHands(t *testing.T) {
	s := start(t, false, http2.Options{}, large(1<<20))
	r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
	r.headers(1, true, with("priority", "u=2")...)
	r.headers(3, true, with("priority", "u=3")...)
	take := func(n int) {
		t.Helper()
		r.next(func(f xhttp2.Frame) bool {
			if d, ok := f.(*xhttp2.DataFrame); ok {
				n -= len(d.Data())
			}
			return n == 0
		})
	}
	take(65535) // the connection's window
	first, second := uint32(1), uint32(3)
	for range 25 { // within what a client may change its mind
		var b bytes.Buffer
		fr := xhttp2.NewFramer(&b, nil)
		r.check(fr.WriteWindowUpdate(0, 1000))
		r.check(fr.WritePriorityUpdate(second, "u=1"))
		r.write(b.Bytes()) // in one piece: the server reads the second frame before the stream that the first one wakes has run
		take(1000)
		r.check(r.fr.WritePriorityUpdate(second, "u=2"))
		r.check(r.fr.WritePriorityUpdate(first, "u=3"))
		r.barrier()
		first, second = second, first
	}
}
