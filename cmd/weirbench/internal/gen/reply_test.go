package gen_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

func TestReply(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		status int
		used   int // -1: all
		err    string
	}{
		"small":              {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, -1, ""},
		"folded name, tab":   {"HTTP/1.1 503 x\r\ncOnTeNt-LeNgTh:\t0 \r\n\r\n", 503, -1, ""},
		"no reason":          {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, -1, ""},
		"next one follows":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1", 200, 39, ""},
		"no content":         {"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n", 204, -1, ""},
		"interim first":      {"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, -1, ""},
		"chunked":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0, "no Content-Length"},
		"until close":        {"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", 0, 0, "no Content-Length"},
		"two lengths":        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 0, 0, "Content-Length"},
		"negative length":    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, 0, "Content-Length"},
		"another protocol":   {"SSH-2.0-OpenSSH\r\n\r\n", 0, 0, "status line"},
		"no colon":           {"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", 0, 0, "field line"},
		"endless head":       {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 17<<10), 0, 0, "more than"},
		"status not numeric": {"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", 0, 0, "status line"},
	} {
		t.Run(name, func(t *testing.T) {
			var r gen.Reply
			used, status, done, err := r.Feed([]byte(c.in))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || done {
					t.Fatalf("error %v, done %v; want an error with %q", err, done, c.err)
				}
				return
			}
			want := c.used
			if want < 0 {
				want = len(c.in)
			}
			if err != nil || !done || status != c.status || used != want {
				t.Errorf("Feed = %d, %d, %v, %v; want %d, %d, true", used, status, done, err, want, c.status)
			}
		})
	}
}

// However the network cuts a row of answers, each is seen whole and in order.
func TestReplyWhateverThePieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 6).Draw(t, "lengths")
		var stream []byte
		for i, n := range lengths {
			stream = fmt.Appendf(stream, "HTTP/1.1 %d OK\r\nServer: x\r\ncontent-length: %d\r\n\r\n%s", 400+i, n, strings.Repeat("\r\n", n)[:n])
		}
		var r gen.Reply
		next := 0
		for len(stream) > 0 {
			piece := stream[:rapid.IntRange(1, len(stream)).Draw(t, "piece")]
			stream = stream[len(piece):]
			for len(piece) > 0 {
				used, status, done, err := r.Feed(piece)
				if err != nil {
					t.Fatal(err)
				}
				piece = piece[used:]
				if done {
					if status != 400+next {
						t.Fatalf("answer %d has status %d", next, status)
					}
					next++
				} else if len(piece) > 0 {
					t.Fatalf("%d bytes were not taken though the answer is not complete", len(piece))
				}
			}
		}
		if next != len(lengths) {
			t.Fatalf("%d of %d answers seen", next, len(lengths))
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 5)
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), 26)
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nabc"), 60)
	f.Add(bytes.Repeat([]byte("\r\n"), 4), 3)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = min(max(cut, 0), len(stream))
		var whole, halves gen.Reply
		used1, status1, done1, err1 := whole.Feed(stream)
		used2, status2, done2, err2 := halves.Feed(stream[:cut])
		if used1 < 0 || used1 > len(stream) || used2 < 0 || used2 > cut {
			t.Fatalf("used %d of %d, %d of %d", used1, len(stream), used2, cut)
		}
		if !done2 && err2 == nil {
			var more int
			more, status2, done2, err2 = halves.Feed(stream[cut:])
			used2 += more
		}
		if (err1 == nil) != (err2 == nil) || err1 == nil && (used1 != used2 || status1 != status2 || done1 != done2) {
			t.Errorf("whole: %d %d %v %v; cut at %d: %d %d %v %v", used1, status1, done1, err1, cut, used2, status2, done2, err2)
		}
	})
}
