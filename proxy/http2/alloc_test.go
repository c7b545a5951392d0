package http2_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// TestAllocations: a small request that repeats the fields of the one before allocates nothing, in the long run.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := start(t, false, http2.Options{}, hello)
	r := dial(t, s)
	const n = 2000
	requests := func(first uint32) []byte {
		var buf bytes.Buffer
		fr := xhttp2.NewFramer(&buf, nil)
		for i := range uint32(n) {
			r.check(fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: first + 2*i, EndHeaders: true, EndStream: true,
				BlockFragment: r.fields(with("user-agent", "test/1.0", "accept", "*/*", "cookie", "a=b")...)}))
		}
		return buf.Bytes()
	}
	warm, measured := requests(1), requests(1+2*n)
	one := len(warm) / n
	answerBytes := make([]byte, 64<<10)
	exchange := func(b []byte) {
		for len(b) > 0 { // 16 at a time; an answer is 90 bytes of body behind a head of at least 9+5
			k := min(16*(one+8), len(b))
			r.write(b[:k])
			b = b[k:]
			got, want := 0, k/(one+8)*100
			for got < want {
				m, err := r.conn.Read(answerBytes)
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				got += m
			}
		}
	}
	r.check(r.fr.WriteWindowUpdate(0, 1<<30))
	exchange(warm)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exchange(measured)
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / n
	t.Logf("%.3f allocations, %.1f bytes per request", each, float64(after.TotalAlloc-before.TotalAlloc)/n)
	if each > 0.5 { // one at each request would be 1; pools that a collection has emptied and heads cut in two by the socket make some 0.1, on a busy machine more
		t.Errorf("%.3f allocations per request", each)
	}
}
