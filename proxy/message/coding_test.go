package message_test

import (
	"slices"
	"testing"

	"github.com/valor-ivx/weir/proxy/message"
)

// bestOf is the coding of list that Accept-Encoding fields ask for; "": none.
func bestOf(list []message.Coding, accept ...string) string {
	var h message.Header
	for _, a := range accept {
		h.Add("Accept-Encoding", a)
	}
	e := message.AcceptedEncoding(&h)
	if i := e.Best(list); i >= 0 {
		return list[i].String()
	}
	return ""
}

func TestAcceptedEncoding(t *testing.T) {
	all := []message.Coding{message.Zstd, message.Brotli, message.Gzip}
	gzip := []message.Coding{message.Gzip}
	for _, c := range []struct {
		accept []string
		have   []message.Coding
		want   string
	}{
		{nil, all, ""}, {[]string{""}, all, ""}, {[]string{"gzip"}, all, "gzip"}, {[]string{"x-gzip"}, all, "gzip"}, {[]string{"GZIP"}, all, "gzip"}, {[]string{"gzip, deflate, br, zstd"}, all, "zstd"},
		{[]string{"gzip, deflate, br"}, all, "br"}, {[]string{"gzip, deflate, br, zstd"}, gzip, "gzip"}, {[]string{"gzip, br"}, nil, ""}, {[]string{"gzip", "br"}, all, "br"},
		{[]string{"gzip, deflate, br, zstd"}, []message.Coding{message.Gzip, message.Zstd}, "gzip"}, {[]string{"gzip;q=0.9, zstd"}, []message.Coding{message.Gzip, message.Zstd}, "zstd"},
		{[]string{"gzip;q=1, br;q=0.5, zstd;q=0"}, all, "gzip"}, {[]string{"gzip;q=0"}, all, ""}, {[]string{"*"}, all, "zstd"}, {[]string{"*;q=0"}, all, ""}, {[]string{"zstd;q=0, *"}, all, "br"},
		{[]string{"*;q=0, gzip"}, all, "gzip"}, {[]string{"identity"}, all, ""}, {[]string{"identity, gzip;q=0.5"}, all, ""}, {[]string{"identity;q=0.5, gzip"}, all, "gzip"},
		{[]string{"identity;q=0, br;q=0.001"}, all, "br"}, {[]string{"identity;q=0"}, all, ""}, {[]string{"gzip;q=0.5, identity;q=0.5"}, all, "gzip"}, {[]string{"gzip ; q=0.8 , br ; Q=0.9"}, all, "br"},
		{[]string{"gzip;q=2"}, all, ""}, {[]string{"gzip;q=x"}, all, ""}, {[]string{"gzip;q="}, all, ""}, {[]string{"gzip;q=1.001"}, all, ""}, {[]string{"gzip;x=1;q=0"}, all, ""}, {[]string{"gzipped"}, all, ""},
		{[]string{"deflate"}, all, ""}, {[]string{"br;q=1.000, zstd;q=0.999"}, all, "br"},
	} {
		if got := bestOf(c.have, c.accept...); got != c.want {
			t.Errorf("%q of %v: %q, want %q", c.accept, c.have, got, c.want)
		}
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br;q=0.5", "*;q=0", "identity;q=0, gzip;q=0.001", ";;;q=", "gzip;q=1.0000", "br;q=0.9;q=0"} {
		f.Add(seed)
	}
	all := []message.Coding{message.Zstd, message.Brotli, message.Gzip}
	f.Fuzz(func(t *testing.T, value string) {
		best := bestOf(all, value)
		for i, c := range all { // what is best of all is best of any that it is among
			if best == c.String() && bestOf(all[i:], value) != best {
				t.Fatalf("%q: %s of all, %q of %v", value, best, bestOf(all[i:], value), all[i:])
			}
		}
		if best == "" && slices.ContainsFunc(all, func(c message.Coding) bool { return bestOf([]message.Coding{c}, value) != "" }) {
			t.Fatalf("%q: nothing of all, something of one", value)
		}
	})
}
