package http1

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// TestOutputEdges writes pieces whose sizes stand at every edge of the block, as bytes, lines and chunks: what leaves is what went in, in order.
func TestOutputEdges(t *testing.T) {
	sizes := []int{0, 1, smallBlock - 20, smallBlock - 19, smallBlock - 18, smallBlock - 7, smallBlock - 3, smallBlock - 2, smallBlock - 1, smallBlock, smallBlock + 1, 3 * smallBlock}
	for _, first := range sizes {
		for _, second := range sizes {
			a, b := []byte(strings.Repeat("a", first)), []byte(strings.Repeat("b", second))
			for _, c := range []struct {
				kind  string
				write func(*output, []byte)
				want  func([]byte) string
			}{
				{"append", (*output).append, func(p []byte) string { return string(p) }},
				{"line", (*output).line, func(p []byte) string { return string(p) + "\r\n" }},
				{"chunk", (*output).chunk, func(p []byte) string {
					if len(p) == 0 {
						return ""
					}
					return fmt.Sprintf("%x\r\n%s\r\n", len(p), p)
				}},
			} {
				g := &gate{left: -1}
				o := output{conn: g}
				o.append(a)
				c.write(&o, b)
				c.write(&o, a)
				o.flush()
				if want := string(a) + c.want(b) + c.want(a); g.took.String() != want {
					t.Errorf("%s %d %d: %d bytes, want %d", c.kind, first, second, g.took.Len(), len(want))
				}
				if o.sent != int64(g.took.Len()) || o.err != nil {
					t.Errorf("%s %d %d: sent %d, %v", c.kind, first, second, o.sent, o.err)
				}
				if cap(o.buf) != smallBlock {
					t.Errorf("%s %d %d: the block grew to %d", c.kind, first, second, cap(o.buf))
				}
				o.rest()
			}
		}
	}
}

func TestOutputGathers(t *testing.T) {
	g := &gate{left: -1}
	o := output{conn: g}
	for range 10 {
		o.append([]byte("head"))
		o.chunk([]byte("chunk"))
		o.line([]byte("line"))
	}
	if g.writes != 0 {
		t.Errorf("%d writes before flush", g.writes)
	}
	o.flush()
	o.flush() // nothing is left to send
	if g.writes != 1 {
		t.Errorf("%d writes", g.writes)
	}
	var trailers message.Header
	trailers.Add("X-Sum", "1")
	o.lastChunk(&trailers)
	o.flush()
	if !strings.HasSuffix(g.took.String(), "0\r\nX-Sum: 1\r\n\r\n") {
		t.Errorf("%q", g.took.String())
	}
}

// TestOutputErrorSticks: behind a failed write nothing is sent, whatever is said, and the bytes taken before it are counted.
func TestOutputErrorSticks(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 2*smallBlock)
	for _, left := range []int{0, 10, smallBlock, smallBlock + 10} {
		g := &gate{left: left}
		o := output{conn: g}
		o.append([]byte("head"))
		o.append(large)
		o.flush()
		writes := g.writes
		if o.err != io.ErrClosedPipe || o.sent != int64(g.took.Len()) || g.took.Len() != left {
			t.Errorf("%d: %v, sent %d of %d", left, o.err, o.sent, g.took.Len())
		}
		g.left = -1
		o.append([]byte("more"))
		o.append(large)
		o.chunk(large)
		o.line([]byte("line"))
		o.lastChunk(nil)
		o.flush()
		if g.writes != writes || o.err != io.ErrClosedPipe || o.sent != int64(left) {
			t.Errorf("%d: %d more writes, %v", left, g.writes-writes, o.err)
		}
		o.rest()
	}
}

// deadlined remembers the write deadline.
type deadlined struct {
	gate
	at time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.at = at
	return nil
}

// TestOutputUnbounded: no bound means none, also on a connection whose last exchange had one.
func TestOutputUnbounded(t *testing.T) {
	d := &deadlined{gate: gate{left: -1}}
	o := output{conn: d}
	now := time.Now()
	o.within(now, time.Second)
	if d.at != now.Add(time.Second+time.Second/4) {
		t.Errorf("%v", d.at.Sub(now))
	}
	o.within(now, 0)
	if !d.at.IsZero() {
		t.Error("the old deadline stands")
	}
	o.within(now, time.Second)
	if d.at.IsZero() {
		t.Error("no deadline was set again")
	}
}
