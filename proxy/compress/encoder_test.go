package compress_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/compress"
	"github.com/valor-ivx/weir/proxy/message"
)

// decode undoes a coding with a reader that refuses what is not whole.
func decode(c message.Coding, r io.Reader) (string, error) {
	switch c {
	case message.Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)) // what a browser takes (RFC 9659)
		if err != nil {
			return "", err
		}
		defer z.Close()
		b, err := io.ReadAll(z)
		return string(b), err
	case message.Brotli:
		b, err := io.ReadAll(brotli.NewReader(r))
		return string(b), err
	}
	z, err := stdgzip.NewReader(r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(z)
	return string(b), err
}

// sink keeps what it is given.
type sink struct{ bytes.Buffer }

func (s *sink) Write(p []byte) { _, _ = s.Buffer.Write(p) }

// body draws texts that compress well, badly and not at all, of up to a megabyte.
func body(r *rapid.T) string {
	piece := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "piece")
	if rapid.Bool().Draw(r, "text") {
		piece = []byte(rapid.StringN(0, 200, 2000).Draw(r, "words"))
	}
	n := rapid.SampledFrom([]int{0, 1, 3, 100, 3000, 70000}).Draw(r, "times")
	return strings.Repeat(string(piece), min(n, (1<<20)/(len(piece)+1)))
}

// TestAnyBodyAnyWay: whatever the body, however it is cut and wherever it is flushed, each coding decodes to it, and what was flushed can be read before the rest is there. The encoders are lent
// again and again, also after bodies that broke off.
func TestAnyBodyAnyWay(t *testing.T) {
	var all compress.Encoders
	rapid.Check(t, func(r *rapid.T) {
		c := message.Coding(rapid.IntRange(0, int(message.Codings)-1).Draw(r, "coding"))
		var out sink
		z := all.Take(c, &out)
		defer all.Return(z)
		text := body(r)
		for left := text; len(left) > 0; {
			n := rapid.SampledFrom([]int{1, 7, 4096, 32768, 1 << 20}).Draw(r, "cut")
			n = min(n, len(left))
			if err := z.Write([]byte(left[:n])); err != nil {
				r.Fatal(err)
			}
			left = left[n:]
			if rapid.IntRange(0, 3).Draw(r, "flush") == 0 {
				if err := z.Flush(); err != nil {
					r.Fatal(err)
				}
				got, err := decode(c, bytes.NewReader(out.Bytes()))
				if got != text[:len(text)-len(left)] {
					r.Fatalf("%s: %d bytes flushed, %d decoded", c, len(text)-len(left), len(got))
				}
				if err == nil {
					r.Fatalf("%s: a body that is not whole looks whole after %d of %d bytes", c, len(text)-len(left), len(text))
				}
			}
			if rapid.IntRange(0, 30).Draw(r, "break") == 0 {
				return
			}
		}
		if err := z.Close(); err != nil {
			r.Fatal(err)
		}
		if got, err := decode(c, bytes.NewReader(out.Bytes())); got != text || err != nil {
			r.Fatalf("%s: %d bytes decode to %d, %v", c, len(text), len(got), err)
		}
		if z.In != int64(len(text)) || z.Sent() != int64(out.Len()) {
			r.Fatalf("%s: counted %d and %d, were %d and %d", c, z.In, z.Sent(), len(text), out.Len())
		}
	})
}

// TestAtOnce: no more than AtOnce are lent, and those that come back are lent again.
func TestAtOnce(t *testing.T) {
	var all compress.Encoders
	var out sink
	var lent []*compress.Encoder
	for range compress.AtOnce {
		z := all.Take(message.Gzip, &out)
		if z == nil {
			t.Fatalf("%d of %d", len(lent), compress.AtOnce)
		}
		lent = append(lent, z)
	}
	for range 3 {
		for c := range message.Codings {
			if all.Take(c, &out) != nil {
				t.Fatal("one too many")
			}
		}
	}
	all.Return(lent[0])
	if all.Take(message.Zstd, &out) == nil || all.Take(message.Zstd, &out) != nil {
		t.Error("not one for the one that came back")
	}
}

// fragile is a sink that panics.
type fragile struct{}

func (fragile) Write([]byte) { panic("bug") }

// TestNeverLentAgain: an encoder whose call has not come back is not trusted with another body, and counts as back.
func TestNeverLentAgain(t *testing.T) {
	var all compress.Encoders
	z := all.Take(message.Gzip, fragile{})
	func() {
		defer func() { _ = recover() }()
		_ = z.Write([]byte("x"))
		_ = z.Close()
	}()
	all.Return(z)
	for i := range compress.AtOnce {
		if again := all.Take(message.Gzip, void{}); again == nil || again == z {
			t.Fatalf("number %d: %v", i, again)
		}
	}
}

// TestMemory holds the encoders to what AtOnce is reckoned by.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	text := []byte(document(1 << 20))
	for c := range message.Codings {
		const count = 8
		var all compress.Encoders
		var held []*compress.Encoder
		before := heap()
		for range count {
			z := all.Take(c, void{})
			if err := z.Write(text); err != nil {
				t.Fatal(err)
			}
			held = append(held, z)
		}
		each := (heap() - before) / count
		t.Logf("%s: %d KiB", c, each>>10)
		if each > 1280<<10 {
			t.Errorf("%s: %d bytes each", c, each)
		}
		runtime.KeepAlive(held)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

type void struct{}

func (void) Write([]byte) {}

// document is JSON as services write it.
func document(n int) string {
	var b strings.Builder
	for i := uint32(1); b.Len() < n; i++ {
		x := i * 2654435761
		fmt.Fprintf(&b, `{"id":%d,"name":"user-%x","email":"u%d@example.com","active":%t,"score":%.3f,"tags":["alpha","%s"]},`,
			i, x, x%100000, x&1 == 0, float64(x%1000000)/1000, []string{"beta", "gamma", "delta"}[x%3])
	}
	return b.String()[:n]
}

// TestAllocations: a body costs none once the encoders are there.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets on purpose under the race detector")
	}
	text := []byte(document(16 << 10))
	for c := range message.Codings {
		var all compress.Encoders
		var out void
		n := testing.AllocsPerRun(50, func() {
			z := all.Take(c, out)
			if z.Write(text[:4000]) != nil || z.Flush() != nil || z.Write(text[4000:]) != nil || z.Close() != nil {
				t.Fatal("failed")
			}
			all.Return(z)
		})
		t.Logf("%s: %v", c, n)
		if n > 2 {
			t.Errorf("%s: %v allocations", c, n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{4 << 10, 16 << 10, 256 << 10} {
		text := []byte(document(size))
		for c := range message.Codings {
			b.Run(fmt.Sprintf("%s/%dKiB", c, size>>10), func(b *testing.B) {
				var all compress.Encoders
				b.SetBytes(int64(size))
				b.ReportAllocs()
				sent := int64(0)
				for b.Loop() {
					z := all.Take(c, void{})
					if z.Write(text) != nil || z.Close() != nil {
						b.Fatal("failed")
					}
					sent = z.Sent()
					all.Return(z)
				}
				b.ReportMetric(100*float64(sent)/float64(size), "%")
			})
		}
	}
}
