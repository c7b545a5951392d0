package files_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/files"
)

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		value string
		size  int64
		want  string
	}{
		{"bytes=0-0", 10, "0+1"}, {"bytes=0-9", 10, "0+10"}, {"bytes=0-100", 10, "0+10"}, {"bytes=9-", 10, "9+1"}, {"bytes=-1", 10, "9+1"}, {"bytes=-100", 10, "0+10"}, {"Bytes=2-3", 10, "2+2"},
		{"bytes=0-0,-1", 10, "0+1 9+1"}, {"bytes= 0-0 , 5-6 ,", 10, "0+1 5+2"}, {"bytes=5-6,0-0", 10, "5+2 0+1"}, {"bytes=0-0,20-30", 10, "0+1"}, {"bytes=0-99999999999999999999999999", 10, "0+10"},
		{"bytes=10-", 10, "416"}, {"bytes=10-20,30-", 10, "416"}, {"bytes=-0", 10, "416"}, {"bytes=99999999999999999999999999-", 10, "416"},
		{"bytes=", 10, "whole"}, {"bytes=,", 10, "whole"}, {"bytes=-", 10, "whole"}, {"bytes=a-b", 10, "whole"}, {"bytes=5-4", 10, "whole"}, {"bytes=0-1-2", 10, "whole"}, {"bytes=--1", 10, "whole"},
		{"bytes=1", 10, "whole"}, {"lines=0-1", 10, "whole"}, {"bytes", 10, "whole"}, {"", 10, "whole"}, {"bytes =0-1", 10, "whole"}, {"bytes=0 -1", 10, "whole"}, {"bytes=+1-2", 10, "whole"},
		{"bytes=0-5,5-6", 10, "whole"}, {"bytes=0-9,0-9", 10, "whole"}, {"bytes=0-,-1", 10, "whole"}, {"bytes=0-1,x", 10, "whole"},
		{"bytes=" + strings.Repeat("0-0,", 8), 10, "whole"}, {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", 100, "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1"},
		{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", 100, "whole"}, {"bytes=" + strings.Repeat("200-,", 9), 100, "whole"},
		{"bytes=0-0", 0, "whole"}, {"bytes=-1", 0, "whole"},
	} {
		v, spans := files.ParseRange(nil, []byte(c.value), c.size)
		got := map[files.Verdict]string{files.Send: "whole", files.Unsatisfiable: "416"}[v]
		for i, s := range spans {
			got += strings.Repeat(" ", min(i, 1)) + fmt.Sprintf("%d+%d", s.First, s.Length)
		}
		if got != c.want {
			t.Errorf("%q of %d: %s, want %s", c.value, c.size, got, c.want)
		}
	}
}

// A single range is the slice of the file that its numbers say.
func TestRangeIsTheSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "content")
		size := len(content)
		first, last := rapid.IntRange(0, 400).Draw(t, "first"), rapid.IntRange(0, 400).Draw(t, "last")
		var value string
		var want []byte
		switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
		case kind == 0:
			value, want = fmt.Sprintf("bytes=%d-", first), content[min(first, size):]
		case kind == 1:
			value, want = fmt.Sprintf("bytes=-%d", last), content[max(0, size-last):]
		case last < first:
			value, want = fmt.Sprintf("bytes=%d-%d", first, last), content
		default:
			value, want = fmt.Sprintf("bytes=%d-%d", first, last), content[min(first, size):min(last+1, size)]
		}
		v, spans := files.ParseRange(nil, []byte(value), int64(size))
		var got []byte
		switch v {
		case files.Send:
			got = content
		case files.Part:
			got = content[spans[0].First : spans[0].Last()+1]
		}
		if !bytes.Equal(got, want) || (v == files.Unsatisfiable) != (len(want) == 0) {
			t.Fatalf("%s of %d: %v %v", value, size, v, spans)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=-1,5-", "bytes=99999999999999999999-", "bytes=1-2,,3-4", "lines=1-2", "bytes=-"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, value string, size int64) {
		if size < 0 {
			return
		}
		v, spans := files.ParseRange(nil, []byte(value), size)
		if (v == files.Part) != (len(spans) > 0) || len(spans) > 8 {
			t.Fatalf("%q of %d: %v with %d spans", value, size, v, len(spans))
		}
		var total int64
		for _, s := range spans {
			if s.First < 0 || s.Length < 1 || s.Last() >= size || s.Last() < s.First {
				t.Fatalf("%q of %d: %+v", value, size, s)
			}
			if total += s.Length; total > size {
				t.Fatalf("%q of %d: more than the file", value, size)
			}
		}
	})
}
